// @ts-check
// Shows one chart in full screen. The arrow keys show the next and the previous chart.

import { Card } from "./card.js";
import { cardOf, request, unwatch, watch } from "./charts.js";
import { byId, element, fill, iconButton } from "./dom.js";

/** @typedef {import("./overview.js").ShownChart} ShownChart */

const dialog = byId("fullscreen", HTMLDialogElement);
/** @type {Card | null} */
let card = null;
/** @type {() => ShownChart[]} */
let listCharts = () => [];

/** @param {() => ShownChart[]} list returns the charts of the page, in its order */
export function setUpFullScreen(list) {
  listCharts = list;
  dialog.addEventListener("close", clear);
  document.addEventListener("full-screen", ({ target }) => {
    const clicked = target instanceof Element ? cardOf.get(target) : undefined;
    if (dialog.open) dialog.close();
    else if (clicked) open(clicked);
  });
}

/** Returns the card in full screen; null if there is none. */
export function fullScreenCard() {
  return dialog.open ? card : null;
}

/** @param {1 | -1} by */
export function showNext(by) {
  if (!card) return;
  const { key } = card.spec;
  const charts = listCharts();
  const index = charts.findIndex(({ spec }) => spec.key === key);
  const next = charts[(index + by + charts.length) % charts.length];
  if (next) open(next);
}

/** @param {ShownChart} chart */
function open({ spec, fixedKind }) {
  clear();
  card = new Card(spec, fixedKind);
  const bar = element(
    "div",
    { class: "bar" },
    iconButton("left", "previous chart", () => showNext(-1)),
    iconButton("right", "next chart", () => showNext(1)),
    iconButton("close", "exit full screen", () => dialog.close()),
  );
  fill(dialog, bar, card.element);
  if (!dialog.open) dialog.showModal();
  watch(card);
  request(card);
}

function clear() {
  if (card) unwatch(card);
  card = null;
  // These move into the dialog while it is open.
  for (const id of ["menu", "tooltip", "toast"]) document.body.append(byId(id));
  fill(dialog);
}
