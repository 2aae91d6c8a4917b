// A widget that shows the clusters: it watches them as long as it is seen, and is drawn again when they change. What
// stands for a cluster stays as long as that is the same, so that no button goes from under the mouse.

import { take } from './shared.js';

const { Widget } = await take('@lumino/widgets');

export class ClustersView extends Widget {
  /** What stands for the clusters, by what it was drawn from. */
  #drawn = new Map();

  constructor(clusters) {
    super();
    this.clusters = clusters;
    clusters.changed.connect(() => this.update());
  }

  onAfterAttach() {
    this.clusters.watch(this, this.isVisible);
  }

  onAfterShow() {
    this.clusters.watch(this, true);
  }

  onAfterHide() {
    this.clusters.watch(this, false);
  }

  /**
   * Shows each cluster as a child of a node.
   *
   * @param draw makes what stands for a cluster, of it and of whether it is the one that is chosen
   */
  showIn(parent, draw) {
    const before = this.#drawn;
    this.#drawn = new Map();
    for (const cluster of this.clusters.all) {
      const isActive = cluster.id === this.clusters.active;
      const facts = JSON.stringify([cluster, isActive]);
      this.#drawn.set(facts, before.get(facts) ?? draw(cluster, isActive));
    }
    const nodes = [...this.#drawn.values()];
    [...parent.children].filter(child => !nodes.includes(child)).forEach(child => child.remove());
    nodes.forEach((node, place) => {
      if (parent.children[place] !== node) {
        parent.insertBefore(node, parent.children[place] ?? null);
      }
    });
  }
}
