// The clusters as the server knows them, and what can be done to them. Whoever shows them watches: the server is
// asked every few seconds as long as somebody does, and never otherwise.

import { take } from './shared.js';

const { URLExt } = await take('@jupyterlab/coreutils');
const { ServerConnection } = await take('@jupyterlab/services');
const { Poll } = await take('@lumino/polling');
const { Signal } = await take('@lumino/signaling');

const ADDRESS = 'parallel-python/clusters';

/** What to say where the server knows nothing of clusters. */
const MISSING =
  'This Jupyter server does not have Parallel Python’s extension loaded: `jupyter server extension list` says why.';

export class Clusters {
  /** As they were last seen. */
  all = [];
  /** Why they could not be seen; empty if they could. */
  error = '';
  /** The id of the one that is chosen. */
  active = '';
  /** Emitted when any of these is another. */
  changed = new Signal(this);
  #settings;
  #doing = new Map();
  #watchers = new Set();
  #poll;

  constructor(settings) {
    this.#settings = settings;
    this.#poll = new Poll({
      auto: false,
      factory: () => this.#look(),
      frequency: { interval: 5000, backoff: true, max: 60000 },
      standby: 'when-hidden',
      name: 'parallel-python:clusters'
    });
  }

  /** Somebody shows them from now on, or no more. */
  watch(who, shows) {
    if (shows) {
      this.#watchers.add(who);
    } else {
      this.#watchers.delete(who);
    }
    void (this.#watchers.size > 0 ? this.#poll.start() : this.#poll.stop());
  }

  /** Asks the server now. What goes wrong is shown in place of the clusters. */
  refresh() {
    return this.#look().catch(() => undefined);
  }

  /** Returns a cluster, or nothing. */
  find(id) {
    return this.all.find(cluster => cluster.id === id);
  }

  choose(id) {
    if (id !== this.active) {
      this.active = id;
      this.changed.emit();
    }
  }

  /** Makes a cluster, which is then the one that is chosen. */
  async create(wanted) {
    const made = await this.#ask('POST', '', wanted);
    this.active = made.id;
    await this.refresh();
  }

  start(id, n = null) {
    return this.#do(id, 'starting', 'POST', { n });
  }

  scale(id, n) {
    return this.#do(id, 'starting', 'PATCH', { n });
  }

  stop(id) {
    return this.#do(id, 'stopping', 'DELETE');
  }

  /** Has something done to a cluster, whose state says so meanwhile. */
  async #do(id, state, method, body) {
    this.#doing.set(id, state);
    this.#take(this.all);
    try {
      await this.#ask(method, id, body);
    } finally {
      this.#doing.delete(id);
      await this.refresh();
    }
  }

  async #look() {
    try {
      this.#take(await this.#ask('GET'), '');
    } catch (error) {
      this.#take([], error.response?.status === 404 ? MISSING : error.message);
      throw error;
    }
  }

  /** Takes in how things are; tells of it if anything is new. */
  #take(all, error = this.error) {
    const state = cluster => this.#doing.get(cluster.id) ?? cluster.state;
    const seen = all.map(cluster => ({ ...cluster, state: state(cluster) }));
    const active = seen.some(({ id }) => id === this.active) ? this.active : seen[0]?.id ?? this.active;
    const same = JSON.stringify([seen, error, active]) === JSON.stringify([this.all, this.error, this.active]);
    Object.assign(this, { all: seen, error, active });
    if (!same) {
      this.changed.emit();
    }
  }

  async #ask(method, id = '', body = undefined) {
    const url = URLExt.join(this.#settings.baseUrl, ADDRESS, encodeURIComponent(id));
    const request = { method, body: body && JSON.stringify(body), cache: 'no-store' };
    const response = await ServerConnection.makeRequest(url, request, this.#settings);
    if (!response.ok) {
      throw await ServerConnection.ResponseError.create(response);
    }
    return response.status === 204 ? null : response.json();
  }
}
