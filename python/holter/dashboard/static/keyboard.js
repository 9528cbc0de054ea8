// @ts-check
// Keyboard shortcuts. They are off while the user types text and while a modifier key is down.

import { cardOf } from "./charts.js";
import { byId, element, fill, iconButton } from "./dom.js";
import { fullScreenCard, showNext } from "./fullscreen.js";
import { store, toggleBar, toggleMarks } from "./state.js";
import { toggleTheme } from "./theme.js";
import { showAllSteps } from "./zoom.js";

/** @typedef {[keys: string, action: string][]} Shortcuts */

/** @type {Shortcuts} */
const KEYS = [
  ["/", "search"],
  ["l", "logarithmic scale"],
  ["b", "bands or single lines"],
  ["m", "marks, restarts and alerts"],
  ["s", "smoothing"],
  ["f", "full screen for the chart under the pointer; Esc to exit"],
  ["← →", "previous and next chart in full screen"],
  ["0", "show all steps"],
  ["r", "list of runs"],
  ["t", "light or dark theme"],
  ["1 2 3", "Charts, Compare, Details"],
  ["?", "this list"],
];

/** @type {Shortcuts} */
const POINTER_ACTIONS = [
  ["drag", "zoom all charts into these steps"],
  ["Shift + drag", "zoom only this chart"],
  ["double click", "back to the previous zoom"],
];

const search = byId("search", HTMLInputElement);
/** @type {Element | null} the card that the pointer or the focus was in last */
let lastCard = null;

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "/": () => search.focus(),
  l: toggleLog,
  b: () => store.set({ band: store.now.band === "each" ? "" : "each", mode: [] }),
  m: toggleMarks,
  s: () => byId("smoothing").focus(),
  f: toggleFullScreen,
  0: showAllSteps,
  r: toggleBar,
  t: toggleTheme,
  1: () => store.set({ tab: "charts" }),
  2: () => store.set({ tab: "compare" }),
  3: () => store.set({ tab: "details" }),
  "?": showHelp,
  ArrowLeft: () => showNext(-1),
  ArrowRight: () => showNext(1),
};

export function setUpKeyboard() {
  /** @param {Event} event */
  const rememberCard = ({ target }) => {
    lastCard = (target instanceof Element ? target.closest(".card") : null) ?? lastCard;
  };
  document.addEventListener("pointerover", rememberCard);
  document.addEventListener("focusin", rememberCard);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const action = ACTIONS[event.key];
    if (!action) return;
    if (!event.key.startsWith("Arrow")) event.preventDefault();
    action();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") search.blur();
  });
}

/** @param {KeyboardEvent} event */
function isTyping({ target, key }) {
  if (!(target instanceof Element)) return false;
  if (target.matches("input[type=range]")) return key.startsWith("Arrow");
  return target.matches("input:not([type=checkbox]), textarea, select");
}

function toggleLog() {
  const card = fullScreenCard();
  store.set({ log: !store.now.log }, { replace: true });
  if (card) card.log = null;
}

function toggleFullScreen() {
  const node = lastCard?.isConnected ? lastCard : document.querySelector(".card");
  const card = fullScreenCard() ?? (node ? cardOf.get(node) : null);
  card?.toggleFullScreen();
}

export function showHelp() {
  const dialog = byId("help", HTMLDialogElement);
  const title = element("h2", { id: "help-title", text: "Keyboard shortcuts" });
  const close = iconButton("close", "close the list of shortcuts", () => dialog.close());
  const heading = element("h3", { text: "With the pointer, on a chart" });
  fill(dialog, element("header", {}, title, close), shortcutList(KEYS), heading, shortcutList(POINTER_ACTIONS));
  dialog.showModal();
}

/** @param {Shortcuts} shortcuts */
function shortcutList(shortcuts) {
  const items = shortcuts.flatMap(([keys, action]) => [element("dt", {}, element("kbd", { text: keys })), element("dd", { text: action })]);
  return element("dl", {}, ...items);
}
