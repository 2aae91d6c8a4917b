// What JupyterLab loads: the container of this extension, by the rules of webpack's module federation, written by
// hand. `init` is given the modules that JupyterLab shares, `get` returns a factory of one of ours. The rest are
// plain ES modules beside this file: nothing has to be built.

(() => {
  const here = document.currentScript.src;
  const load = file => import(new URL(file, here));
  let scope;

  const modules = {
    './extension': async () => {
      (await load('./shared.js')).open(scope);
      const { plugins } = await load('./plugins.js');
      // An object of its own: JupyterLab writes into it.
      return { __esModule: true, default: plugins };
    },
    './style': async () => {
      const link = document.createElement('link');
      Object.assign(link, { rel: 'stylesheet', href: new URL('./style.css', here) });
      document.head.append(link);
      return {};
    }
  };

  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB['parallel-python'] = {
    init(shared) {
      scope = shared;
    },
    async get(name) {
      if (!(name in modules)) {
        throw new Error(`parallel-python has no module ${name}`);
      }
      const module = await modules[name]();
      return () => module;
    }
  };
})();
