// The table of clusters on Jupyter Notebook's first page, as the classic notebook had it.

import { button, element } from './dom.js';
import { titleOf } from './panel.js';
import { ClustersView } from './view.js';

const COLUMNS = ['profile', 'cluster id', 'status', '# of engines', 'action'];

export class ClustersTab extends ClustersView {
  #actions;
  #note = element('p.pp-Clusters-note.pp-mod-error');
  #body = element('tbody');
  /** What was typed as numbers of engines, by cluster. */
  #typed = new Map();

  /**
   * @param clusters what is shown
   * @param actions `inject`, `start` and `stop`, each of a cluster; `create`
   */
  constructor(clusters, actions) {
    super(clusters);
    this.#actions = actions;
    this.addClass('pp-Tab');
    const styled = 'jp-mod-styled.pp-mod-plain';
    const head = element('tr', {}, ...COLUMNS.map(name => element('th', {}, name)));
    this.node.append(
      element(
        'div.pp-Tab-bar',
        {},
        element('span', {}, 'IPython parallel computing clusters'),
        button(styled, 'Refresh', 'Refresh cluster list', () => clusters.refresh()),
        button(styled, 'New', 'Create a new cluster', () => actions.create())
      ),
      element('table', {}, element('thead', {}, head), this.#body),
      this.#note
    );
  }

  onUpdateRequest() {
    this.#note.textContent = this.clusters.error;
    this.showIn(this.#body, cluster => this.#row(cluster));
  }

  #row(cluster) {
    const { id, state } = cluster;
    const isStopped = state === 'stopped';
    const status = element(`td.pp-mod-${state}`, {}, state);
    const { profile, cluster_id } = cluster.cluster;
    const names = cluster.kind === 'notebook' ? [titleOf(cluster), ''] : [profile, cluster_id];
    const engines = isStopped ? this.#input(cluster) : String(cluster.engines.n);
    const action = isStopped ? this.#starter(cluster, status) : this.#stopper(cluster);
    return element(
      'tr',
      { dataset: { clusterId: id } },
      ...names.map(name => element('td', {}, name)),
      status,
      element('td', {}, engines),
      element('td', {}, ...action)
    );
  }

  #input({ id, cluster }) {
    const value = this.#typed.get(id) ?? cluster.n ?? '';
    const oninput = ({ target }) => this.#typed.set(id, target.value);
    return element('input.jp-mod-styled', { type: 'text', inputMode: 'numeric', placeholder: 'auto', value, oninput });
  }

  #starter(cluster, status) {
    const start = () => {
      const typed = String(this.#typed.get(cluster.id) ?? cluster.cluster.n ?? '').trim();
      if (typed && !(/^\d+$/.test(typed) && Number(typed) >= 1)) {
        status.textContent = 'invalid engine #';
        return;
      }
      this.#typed.delete(cluster.id);
      void this.#actions.start(cluster, typed ? Number(typed) : null);
    };
    return [button('jp-mod-styled.pp-mod-plain', 'Start', `Start ${cluster.id}`, start)];
  }

  #stopper(cluster) {
    if (cluster.kind === 'notebook') {
      return [];
    }
    const { inject, stop } = this.#actions;
    const busy = { disabled: cluster.state !== 'running' };
    return [
      button('jp-mod-styled.pp-mod-plain', 'Stop', `Stop ${cluster.id}`, () => stop(cluster), busy),
      button('jp-mod-styled.pp-mod-plain', 'Copy code', 'The code that connects to it', () => inject(cluster), busy)
    ];
  }
}
