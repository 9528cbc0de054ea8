// Every view setting is a key away; `?` lists them. Keys do nothing while one types or with a modifier held.

import { element, fill, iconButton } from "./dom.js";
import { currentCard, go, isOpen } from "./fullscreen.js";
import { showAll } from "./zoom.js";
import { store, toggleBar } from "./state.js";
import { switchTheme } from "./theme.js";
import { toggleMarks } from "./toolbar.js";

const HELP = [
  ["/", "search"],
  ["l", "logarithmic scale"],
  ["b", "bands or single lines"],
  ["m", "marks, restarts and alerts"],
  ["s", "smoothing"],
  ["f", "the chart under the pointer on the full screen; Esc leaves it"],
  ["← →", "previous and next chart on the full screen"],
  ["0", "show all steps again"],
  ["r", "bar of runs"],
  ["t", "light or dark"],
  ["1 2 3", "Charts, Compare, Details"],
  ["?", "this list"],
];

const POINTER_HELP = [
  ["drag", "zoom into these steps, in all charts"],
  ["Shift + drag", "in this chart alone"],
  ["double click", "back to what was seen before"],
];

let hovered = null;

export function setUpKeyboard({ search, smoothing }) {
  document.addEventListener("pointerover", ({ target }) => {
    hovered = target.closest?.(".card") ?? hovered;
  });
  document.addEventListener("focusin", ({ target }) => {
    hovered = target.closest?.(".card") ?? hovered;
  });
  const actions = {
    "/": () => search.focus(),
    l: () => toggleLog(),
    b: () => store.set({ band: store.now.band === "each" ? "" : "each", mode: [] }),
    m: toggleMarks,
    s: () => smoothing.focus(),
    f: enlarge,
    0: showAll,
    r: toggleBar,
    t: switchTheme,
    1: () => store.set({ tab: "charts" }),
    2: () => store.set({ tab: "compare" }),
    3: () => store.set({ tab: "details" }),
    "?": showHelp,
    ArrowLeft: () => isOpen() && go(-1),
    ArrowRight: () => isOpen() && go(1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const action = actions[event.key];
    if (!action) return;
    if (!event.key.startsWith("Arrow")) event.preventDefault();
    action();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") search.blur();
  });
}

function isTyping({ target, key }) {
  if (target.matches("input[type=range]")) return key.startsWith("Arrow");
  return target.matches("input:not([type=checkbox]), textarea, select");
}

function toggleLog() {
  const card = currentCard();
  store.set({ log: !store.now.log }, { keep: true });
  if (card) card.log = null;
}

function enlarge() {
  const card = isOpen() ? currentCard()?.element : hovered?.isConnected ? hovered : document.querySelector(".card");
  card?.dispatchEvent(new CustomEvent("enlarge", { bubbles: true }));
}

export function showHelp() {
  const dialog = document.getElementById("help");
  const list = (pairs) => element("dl", {}, ...pairs.flatMap(([keys, what]) => [element("dt", {}, element("kbd", { text: keys })), element("dd", { text: what })]));
  const title = element("h2", { id: "help-title", text: "Keys" });
  const close = iconButton("close", "close the list of keys", () => dialog.close());
  fill(dialog, element("header", {}, title, close), list(HELP), element("h3", { text: "With the pointer, on a chart" }), list(POINTER_HELP));
  dialog.showModal();
}
