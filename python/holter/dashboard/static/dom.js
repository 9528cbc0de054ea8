// Makes elements. Text goes in as text and styles through CSSOM, so nothing from a run can become markup,
// and the page needs neither inline script nor inline style.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Returns a new element.
 *
 * `attributes` are set as they are, but: `text` becomes the text, `on` holds listeners, `style` holds CSS properties,
 * `true` stands for an attribute without value, and `false`, `null` and `undefined` for one that is left out.
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
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Returns one of the symbols of index.html, hidden from assistive technology: the button around it has the name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button that shows a symbol alone. */
export function iconButton(name, label, click, attributes = {}) {
  return element(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click }, ...attributes },
    icon(name),
  );
}

/** A row of buttons of which one is pressed; `choices` are [value, text, explanation]. */
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

/** Replaces what `node` holds. */
export function fill(node, ...children) {
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Calls `action` once things have been quiet for `millis`. */
export function debounced(action, millis) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), millis);
  };
}

let announcer = null;

/** Says something in passing: shown for some seconds, and read out. */
export function announce(text) {
  announcer ??= document.getElementById("toast");
  const parent = document.querySelector("dialog[open]") ?? document.body;
  if (announcer.parentElement !== parent) parent.append(announcer);
  announcer.textContent = text;
  announcer.classList.add("shown");
  clearTimeout(announcer.timer);
  announcer.timer = setTimeout(() => announcer.classList.remove("shown"), 4000);
}

/** Gives the user a file. */
export function download(filename, content) {
  const url = typeof content === "string" ? content : URL.createObjectURL(content);
  element("a", { href: url, download: filename }).click();
  if (typeof content !== "string") setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Puts text on the clipboard; also where the page has no secure context, as on another host's plain HTTP. */
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
