// The code that connects a notebook to a cluster: where it is put, and dragged to.

import { element } from './dom.js';
import { take } from './shared.js';

const { Notification } = await take('@jupyterlab/apputils');
const { NotebookActions } = await take('@jupyterlab/notebook');
const { MimeData } = await take('@lumino/coreutils');
const { Drag } = await take('@lumino/dragdrop');

const CELLS = 'application/vnd.jupyter.cells';

/** How far the mouse is moved, in pixels, before that is a drag. */
const SLACK = 5;

/** Returns the code; the file is found from any notebook, this project's kernel in it or another Python. */
export function code(cluster) {
  return [
    'import parallel_python as ipp',
    '',
    `cluster = ipp.Cluster.from_file(${JSON.stringify(cluster.cluster_file)})`,
    'rc = cluster.connect_client_sync()',
    'rc'
  ].join('\n');
}

/**
 * Puts the code into a new cell of the notebook one works in, else into the console, else onto the clipboard.
 *
 * @param shell what is on the page
 * @param trackers of notebooks and of consoles, each if there is one here
 */
export async function inject(cluster, shell, { notebooks, consoles }) {
  const current = shell.currentWidget;
  const prompt = consoles?.has(current) ? current : notebooks?.currentWidget ? null : consoles?.currentWidget;
  if (prompt) {
    const cell = prompt.console.promptCell;
    cell.model.sharedModel.setSource(cell.model.sharedModel.getSource() + code(cluster));
  } else if (notebooks?.currentWidget) {
    const { content } = notebooks.currentWidget;
    NotebookActions.insertAbove(content);
    content.activeCell.model.sharedModel.setSource(code(cluster));
  } else {
    await navigator.clipboard.writeText(code(cluster));
    Notification.info('The code that connects to the cluster is on the clipboard.', { autoClose: 4000 });
  }
}

/** Lets a cluster's element be dragged into a notebook, where it becomes a cell with the code. */
export function draggable(item, cluster, source) {
  item.addEventListener('mousedown', pressed => {
    if (pressed.button !== 0 || pressed.target.closest('button, input')) {
      return;
    }
    const watching = new AbortController();
    const moved = event => {
      const far = Math.max(Math.abs(event.clientX - pressed.clientX), Math.abs(event.clientY - pressed.clientY));
      if (far >= SLACK) {
        watching.abort();
        event.preventDefault();
        start(cluster, item, source, event);
      }
    };
    const options = { capture: true, signal: watching.signal };
    document.addEventListener('mousemove', moved, options);
    document.addEventListener('mouseup', () => watching.abort(), options);
    pressed.preventDefault();
  });
}

function start(cluster, item, source, { clientX, clientY }) {
  const mimeData = new MimeData();
  mimeData.setData('text/plain', code(cluster));
  const cell = { cell_type: 'code', source: code(cluster), outputs: [], execution_count: null, metadata: {} };
  mimeData.setData(CELLS, [cell]);
  const title = item.querySelector('.pp-Cluster-title').textContent;
  const dragImage = element('div.pp-Cluster-drag', {}, title);
  const drag = new Drag({ mimeData, dragImage, supportedActions: 'copy', proposedAction: 'copy', source });
  void drag.start(clientX, clientY);
}
