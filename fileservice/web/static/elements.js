// Elements that the scripts make.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

export function button(act, properties, ...children) {
  const made = element('button', { type: 'button', className: 'small', ...properties }, ...children)
  made.addEventListener('click', act)
  return made
}
