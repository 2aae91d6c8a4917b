// What is asked before a cluster is made or gets another number of engines, and how an error is shown.

import { element } from './dom.js';
import { take } from './shared.js';

const { Dialog, showDialog, showErrorMessage } = await take('@jupyterlab/apputils');
const { Widget } = await take('@lumino/widgets');

/** Rows of a label and an input each; the dialog returns what `read` makes of the inputs. */
class Form extends Widget {
  constructor(rows, read) {
    const inputs = rows.map(([, properties]) => element('input.jp-mod-styled', properties));
    const labelled = rows.map(([label], row) =>
      element('label.pp-Form-row', {}, element('span', {}, label), inputs[row])
    );
    super({ node: element('div.pp-Form', {}, ...labelled) });
    this.getValue = () => read(...inputs.map(input => input.value.trim()));
  }
}

const ENGINES = { type: 'number', min: 1, max: 4096, step: 1 };

async function ask(title, body, accept) {
  const buttons = [Dialog.cancelButton({ label: 'CANCEL' }), Dialog.okButton({ label: accept })];
  const { button, value } = await showDialog({ title, body, buttons, focusNodeSelector: 'input' });
  return button.accept ? value : null;
}

/** Returns what is to be made, or null. */
export function askForCluster() {
  const rows = [
    ['Profile', { type: 'text', placeholder: 'default' }],
    ['Cluster ID', { type: 'text', placeholder: 'auto' }],
    ['Engines', { ...ENGINES, placeholder: 'auto' }]
  ];
  const read = (profile, cluster_id, n) => ({ profile, cluster_id, n: n === '' ? null : Number(n) });
  return ask('New Cluster', new Form(rows, read), 'CREATE');
}

/** Returns a number of engines, or null. */
export async function askForNumber(cluster) {
  const value = cluster.engines.n || 1;
  const body = new Form([['Engines', { ...ENGINES, value }]], Number);
  if (cluster.state === 'running') {
    body.node.append(element('p', {}, 'All of them start afresh: what the present ones hold is lost.'));
  }
  return ask(`Scale ${cluster.id}`, body, 'SCALE');
}

/** Shows why something could not be done. */
export function showFailure(title, error) {
  return showErrorMessage(title, error.message || String(error));
}
