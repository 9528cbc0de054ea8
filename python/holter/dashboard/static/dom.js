// @ts-check
// Creates elements. Text is set as text and styles through CSSOM, so that data from a run never becomes markup and the page
// needs neither inline scripts nor inline styles.

/** @typedef {Node | string | null | undefined} Child */

const SVG = "http://www.w3.org/2000/svg";
const TOAST_MILLIS = 4000;

/**
 * Returns an element of index.html.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [type]
 * @returns {T}
 */
export function byId(id, type = /** @type {any} */ (HTMLElement)) {
  const node = document.getElementById(id);
  if (!(node instanceof type)) throw new TypeError(`index.html must have a ${type.name} with the id ${id}`);
  return node;
}

/**
 * Creates an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes] set as they are, except: `text` is the text, `on` has event listeners, `style` has
 *   CSS properties, `true` sets an attribute without a value, and `false`, `null` and `undefined` are skipped
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "style") for (const [property, to] of Object.entries(value)) node.style.setProperty(property, to);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function present(children) {
  return /** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined));
}

/**
 * Creates an icon from a symbol of index.html. It is hidden from assistive technology: the button around it has the label.
 *
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Creates a button that shows only an icon.
 *
 * @param {string} name
 * @param {string} label
 * @param {() => void} click
 * @param {Record<string, string>} [attributes]
 */
export function iconButton(name, label, click, attributes = {}) {
  return element(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click }, ...attributes },
    icon(name),
  );
}

/**
 * Creates a row of buttons, one of them pressed.
 *
 * @param {string} label
 * @param {[value: string, text: string, title: string][]} choices
 * @param {string} current
 * @param {(value: string) => void} choose
 */
export function segmented(label, choices, current, choose) {
  const buttons = choices.map(([value, text, title]) =>
    element("button", {
      type: "button",
      text,
      title,
      "data-value": value,
      "aria-pressed": String(value === current),
      on: { click: () => choose(value) },
    }),
  );
  return element("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);
}

/**
 * Replaces the children of an element.
 *
 * @param {Element} node
 * @param {...Child} children
 */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
}

/**
 * Sets a text only if it differs, so that screen readers don't read it twice.
 *
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Returns a function that calls `action` once `millis` have passed without another call.
 *
 * @param {() => void} action
 * @param {number} millis
 */
export function debounced(action, millis) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, millis);
  };
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;

/**
 * Shows a message for a few seconds. Screen readers read it out.
 *
 * @param {string} text
 */
export function announce(text) {
  const toast = byId("toast");
  const parent = document.querySelector("dialog[open]") ?? document.body;
  if (toast.parentElement !== parent) parent.append(toast);
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.classList.remove("shown"), TOAST_MILLIS);
}

/**
 * Starts the download of a URL.
 *
 * @param {string} filename the default name; empty: the server's
 * @param {string} url
 */
export function download(filename, url) {
  element("a", { href: url, download: filename }).click();
}

/**
 * Copies text to the clipboard, also on pages without a secure context (plain HTTP on another host).
 *
 * @param {string} text
 * @param {string} what
 */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { class: "offscreen", "aria-label": what });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce(`${what} copied`);
}
