// The list of clusters in JupyterLab's left sidebar.

import { code, draggable } from './connection.js';
import { button, element } from './dom.js';
import { take } from './shared.js';
import { ClustersView } from './view.js';

const { CommandToolbarButton, Toolbar, ToolbarButton, codeIcon, refreshIcon } = await take(
  '@jupyterlab/ui-components'
);
const { PanelLayout, Widget } = await take('@lumino/widgets');

/** What to do where nothing runs. */
const HINT =
  'No engines run on their own. START has some up for scripts and for notebooks of any kernel; a notebook with the ' +
  'kernel Parallel Python (Rust) needs none, it brings its own.';

export class ClustersPanel extends ClustersView {
  #actions;
  #list = element('ul.pp-Clusters-list');
  #note = element('p.pp-Clusters-note');

  /**
   * @param clusters what is shown
   * @param actions `inject`, `start`, `scale` and `stop`, each of a cluster
   * @param commands the registry that has `create`, the command of NEW
   */
  constructor(clusters, actions, commands, create) {
    super(clusters);
    this.#actions = actions;
    this.addClass('pp-Clusters');
    const toolbar = new Toolbar();
    const label = new Widget({ node: element('span.pp-Clusters-label', {}, 'CLUSTERS') });
    const refresh = { icon: refreshIcon, onClick: () => clusters.refresh(), tooltip: 'Refresh Cluster List' };
    toolbar.addItem('label', label);
    toolbar.addItem('spacer', Toolbar.createSpacerItem());
    toolbar.addItem('refresh', new ToolbarButton(refresh));
    toolbar.addItem('new', new CommandToolbarButton({ commands, id: create }));
    this.layout = new PanelLayout();
    this.layout.addWidget(toolbar);
    this.layout.addWidget(new Widget({ node: element('div.pp-Clusters-listing', {}, this.#list, this.#note) }));
  }

  onUpdateRequest() {
    const { all, error } = this.clusters;
    this.showIn(this.#list, (cluster, isActive) => this.#item(cluster, isActive));
    const nothingRuns = all.length > 0 && all.every(({ state }) => state === 'stopped');
    this.#note.textContent = error || (nothingRuns ? HINT : '');
    this.#note.classList.toggle('pp-mod-error', Boolean(error));
  }

  #item(cluster, isActive) {
    const { id, kind, state } = cluster;
    const active = isActive ? '.jp-mod-active' : '';
    const properties = { dataset: { clusterId: id }, onclick: () => this.clusters.choose(id) };
    const item = element(
      `li.pp-Cluster.pp-mod-${kind}${active}`,
      properties,
      element('div.pp-Cluster-title', { title: titleOf(cluster) }, titleOf(cluster)),
      element('div.pp-Cluster-fact', {}, 'State: ', element(`span.pp-mod-${state}`, {}, shown(state))),
      element('div.pp-Cluster-fact', {}, `Number of engines: ${cluster.engines.n || 'auto'}`),
      element('div.pp-Cluster-buttons', {}, ...this.#buttons(cluster))
    );
    if (cluster.cluster_file) {
      item.title = 'Drag it into a notebook to connect that to it';
      draggable(item, cluster, this);
    }
    return item;
  }

  #buttons(cluster) {
    const { inject, start, scale, stop } = this.#actions;
    const { id, kind, state } = cluster;
    const busy = { disabled: state !== 'running' && state !== 'stopped' };
    const found = cluster.cluster_file && state === 'running';
    const why = found
      ? `Inject client code for ${id}\n\n${code(cluster)}`
      : 'There is something to connect to once it runs';
    const insert = button('jp-mod-styled.pp-mod-code', '', why, () => inject(cluster), { disabled: !found });
    codeIcon.element({ container: insert, height: '16px', width: '16px' });
    if (kind === 'notebook') {
      return [insert];
    }
    const isStopped = state === 'stopped';
    const buttons = [insert];
    if (isStopped) {
      buttons.push(button('jp-mod-styled.pp-mod-start', 'START', `Start ${id}`, () => start(cluster)));
    } else {
      buttons.push(button('jp-mod-styled.pp-mod-scale', 'SCALE', `Rescale ${id}`, () => scale(cluster), busy));
    }
    // One that has no id is always there: there is nothing to delete.
    if (!isStopped || cluster.cluster.cluster_id) {
      const label = isStopped ? 'DELETE' : 'STOP';
      buttons.push(button('jp-mod-styled.pp-mod-stop', label, `${label} ${id}`, () => stop(cluster), busy));
    }
    return buttons;
  }
}

/** Returns a cluster's id, or whose engines it is. */
export function titleOf({ id, kind, notebook, cluster }) {
  return kind === 'notebook' ? notebook ?? cluster.profile : id;
}

const shown = state => (state === 'stopped' ? 'Stopped' : state);
