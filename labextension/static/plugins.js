// What JupyterLab and Jupyter Notebook activate: the panel or the tab, the commands and their menu.

import { Clusters } from './clusters.js';
import { inject } from './connection.js';
import { askForCluster, askForNumber, showFailure } from './dialogs.js';
import { icon } from './icon.js';
import { ClustersPanel } from './panel.js';
import { has, take } from './shared.js';
import { ClustersTab } from './tab.js';

const { ILabShell } = await take('@jupyterlab/application');
const { ICommandPalette } = await take('@jupyterlab/apputils');
const { IConsoleTracker } = await take('@jupyterlab/console');
const { INotebookTracker } = await take('@jupyterlab/notebook');
const { IStateDB } = await take('@jupyterlab/statedb');
const { addIcon } = await take('@jupyterlab/ui-components');
const { INotebookTree } = has('@jupyter-notebook/tree') ? await take('@jupyter-notebook/tree') : {};

const ID = 'parallel-python:clusters';

const COMMANDS = {
  inject: 'parallel-python:inject-client-code',
  create: 'parallel-python:new-cluster',
  start: 'parallel-python:start-cluster',
  stop: 'parallel-python:stop-cluster',
  scale: 'parallel-python:scale-cluster'
};

/** What can be done to clusters, each with a person told of what went wrong. */
function actionsOn(clusters, shell, trackers) {
  const told = (title, act) => (...given) => act(...given).catch(error => showFailure(title, error));
  return {
    inject: told('The code could not be put anywhere', cluster => inject(cluster, shell, trackers)),
    start: told('Failed to start cluster', (cluster, n) => clusters.start(cluster.id, n)),
    stop: told('Failed to stop cluster', cluster => clusters.stop(cluster.id)),
    scale: told('Failed to scale cluster', async cluster => {
      const n = await askForNumber(cluster);
      return n === null ? undefined : clusters.scale(cluster.id, n);
    }),
    create: told('Cluster Create Error', async () => {
      const wanted = await askForCluster();
      return wanted === null ? undefined : clusters.create(wanted);
    })
  };
}

function addCommands(app, clusters, actions, palette) {
  const clicked = () => {
    const node = app.contextMenuHitTest(({ dataset }) => dataset?.clusterId !== undefined);
    return node && clusters.find(node.dataset.clusterId);
  };
  const add = (name, label, fits, rank) => {
    app.commands.addCommand(COMMANDS[name], {
      label,
      isEnabled: () => fits(clicked() ?? {}),
      execute: () => actions[name](clicked())
    });
    app.contextMenu.addItem({ command: COMMANDS[name], selector: '.pp-Cluster', rank });
  };
  const isOurs = ({ kind, state }, ...states) => kind === 'engines' && states.includes(state);
  add('start', 'Start Cluster', cluster => isOurs(cluster, 'stopped'), 1);
  add('scale', 'Scale Cluster…', cluster => isOurs(cluster, 'running', 'stopped'), 2);
  add('stop', 'Shutdown Cluster', cluster => isOurs(cluster, 'running'), 3);
  add('inject', 'Inject IPython Client Connection Code', ({ state }) => state === 'running', 10);
  app.commands.addCommand(COMMANDS.create, {
    label: ({ isPalette }) => (isPalette ? 'Create New Cluster' : 'NEW'),
    caption: 'Create New Cluster',
    icon: ({ isPalette }) => (isPalette ? undefined : addIcon),
    execute: () => actions.create()
  });
  palette?.addItem({ command: COMMANDS.create, category: 'Parallel Python', args: { isPalette: true } });
}

/** Keeps which cluster is chosen from one visit to the next. */
async function remember(clusters, state) {
  const saved = await state.fetch(ID);
  clusters.choose(saved?.cluster ?? '');
  clusters.changed.connect(() => state.save(ID, { cluster: clusters.active }));
}

const plugin = {
  id: ID,
  description: 'Sets of MPI engines: started, stopped and connected to.',
  autoStart: true,
  optional: [ILabShell, INotebookTracker, IConsoleTracker, IStateDB, ICommandPalette, INotebookTree].filter(Boolean),
  activate: (app, lab, notebooks, consoles, state, palette, tree) => {
    if (!lab && !tree) {
      // A single notebook's page.
      return;
    }
    const clusters = new Clusters(app.serviceManager.serverSettings);
    const actions = actionsOn(clusters, app.shell, { notebooks, consoles });
    addCommands(app, clusters, actions, palette);
    if (state) {
      void remember(clusters, state);
    }
    const widget = lab
      ? new ClustersPanel(clusters, actions, app.commands, COMMANDS.create)
      : new ClustersTab(clusters, actions);
    widget.id = 'parallel-python-clusters';
    widget.title.icon = icon;
    widget.title.caption = 'Parallel Python: IPython Parallel clusters';
    if (lab) {
      lab.add(widget, 'left', { rank: 200, type: 'Clusters' });
    } else {
      widget.title.label = 'IPython Clusters';
      tree.addWidget(widget);
      tree.tabBar.addTab(widget.title);
    }
  }
};

export const plugins = [plugin];
