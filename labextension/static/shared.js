// The modules that JupyterLab shares with its extensions. A module of ours takes what it needs at its top, as it
// would import it: `const { Widget } = await take('@lumino/widgets')`.

let scope = {};

/** Says what is shared; before anything is taken. */
export function open(shared) {
  scope = shared;
}

/** Whether a module is shared: JupyterLab and Jupyter Notebook do not share the same ones. */
export const has = name => name in scope;

/** Returns a shared module: the version that is in use already, else the newest. */
export async function take(name) {
  if (!has(name)) {
    throw new Error(`${name} is not shared here: Parallel Python's panel needs JupyterLab 4 or Notebook 7`);
  }
  const versions = Object.entries(scope[name]);
  versions.sort(([one, first], [other, second]) => {
    const used = Boolean(second.loaded) - Boolean(first.loaded);
    return used || other.localeCompare(one, 'en', { numeric: true });
  });
  const [, version] = versions[0];
  const factory = await version.get();
  version.loaded = 1;
  return factory();
}
