// Elements, written down as they stand in each other.

/**
 * Makes an element.
 *
 * @param tag its name, and its classes behind dots
 * @param properties what it is to have: properties, `dataset`, listeners (`onclick`)
 * @param children elements and texts
 */
export function element(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const made = document.createElement(name);
  made.classList.add(...classes);
  const { dataset, ...others } = properties;
  Object.assign(made.dataset, dataset);
  Object.assign(made, others);
  made.append(...children);
  return made;
}

/** Makes a button whose click is nobody else's. */
export function button(classes, label, title, onclick, properties = {}) {
  const clicked = event => {
    event.stopPropagation();
    onclick();
  };
  return element(`button.${classes}`, { type: 'button', title, onclick: clicked, ...properties }, label);
}
