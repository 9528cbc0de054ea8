// One chart on the whole screen; the arrows go on to the next one, Escape goes back.

import { forget, request, watch } from "./charts.js";
import { Card } from "./card.js";
import { element, fill, iconButton } from "./dom.js";

let shown = null;
let all = () => [];

/** `specs` returns what the page shows, in its order: `[spec, request]` pairs. */
export function setUpFullscreen(specs) {
  all = specs;
  dialog().addEventListener("close", drop);
  document.addEventListener("enlarge", (event) => {
    const { spec, proposal } = event.target.card;
    if (dialog().open) dialog().close();
    else open(spec, proposal);
  });
}

export function isOpen() {
  return dialog().open;
}

export function currentCard() {
  return dialog().open ? shown : null;
}

/** Shows the next chart, or with -1 the one before. */
export function go(by) {
  const specs = all();
  const index = specs.findIndex(([spec]) => spec.key === shown?.spec.key);
  const next = specs[(index + by + specs.length) % specs.length];
  if (next) open(...next);
}

function open(spec, proposal) {
  drop();
  shown = new Card(spec, proposal);
  const bar = element(
    "div",
    { class: "bar" },
    iconButton("left", "previous chart", () => go(-1)),
    iconButton("right", "next chart", () => go(1)),
    iconButton("close", "leave full screen", () => dialog().close()),
  );
  fill(dialog(), bar, shown.element);
  if (!dialog().open) dialog().showModal();
  watch(shown);
  request(shown);
}

function drop() {
  if (shown) forget(shown);
  shown = null;
  // The menu and the tooltip were lent to the dialog.
  for (const id of ["menu", "tooltip", "toast"]) document.body.append(document.getElementById(id));
  fill(dialog());
}

function dialog() {
  return document.getElementById("full");
}
