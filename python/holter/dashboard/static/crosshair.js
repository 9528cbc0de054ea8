// One cursor over all charts: where the pointer is in one of them, a line stands in each, and each tells its values there.

import { visibleCards } from "./charts.js";
import { element, fill } from "./dom.js";
import { nearest } from "./figure.js";
import { value } from "./format.js";
import { store } from "./state.js";

const TOLD = 3; // values in a chart's note
const LISTED = 14; // values beside the pointer
const NEAR = 7; // pixels at which a sign at the edge is told of

let tooltip = null;
let isScheduled = false;
let latest = null;

/** Makes the card's plot move the cursor. */
export function followPointer(card) {
  card.plot.addEventListener("pointermove", (event) => {
    latest = { card, clientX: event.clientX, clientY: event.clientY };
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      if (latest) move(latest);
    });
  });
  card.plot.addEventListener("pointerleave", clear);
}

function move({ card, clientX, clientY }) {
  const axis = card.axis;
  if (!axis) return clear();
  const pixel = clientX - card.plot.getBoundingClientRect().left - axis._offset;
  if (pixel < 0 || pixel > axis._length) return clear();
  const x = axis.p2l(pixel);
  for (const other of visibleCards()) place(other, x, axis.type);
  if (card.lines.length) showTooltip(card, x, clientX, clientY);
}

/** Puts the cursor of one card at `x`, if its axis reaches there and is of the same kind. */
function place(card, x, type) {
  const axis = card.axis;
  const pixel = axis && axis.type === type ? axis.l2p(x) : -1;
  const isInside = pixel >= 0 && axis && pixel <= axis._length;
  card.cursor.hidden = !isInside;
  if (!isInside) return;
  card.cursor.style.transform = `translateX(${axis._offset + pixel}px)`;
  const told = valuesAt(card, x).slice(0, TOLD);
  if (told.length) fill(card.note, ...told.flatMap(({ line, y }) => [swatch(line), element("b", { text: value(y) })]));
}

function valuesAt(card, x) {
  const found = [];
  for (const line of card.lines) {
    const index = nearest(line.x, x);
    if (index >= 0) found.push({ line, x: line.x[index], y: line.y[index] });
  }
  return found;
}

function swatch({ colour, dash, label }) {
  return element("span", { class: `swatch ${dash}`, title: label, style: { "--colour": colour } });
}

function showTooltip(card, x, clientX, clientY) {
  tooltip ??= document.getElementById("tooltip");
  const found = valuesAt(card, x).sort((left, right) => right.y - left.y);
  // Where lines have points at different steps, those of the nearest one are meant, and the others say their own.
  const here = found.reduce((best, one) => (Math.abs(one.x - x) < Math.abs(best - x) ? one.x : best), Infinity);
  const rows = found.slice(0, LISTED).map(({ line, x: at, y }) => {
    const name = element("span", { class: "name", text: line.label });
    const where = at === here ? null : element("span", { class: "quiet", text: `at ${placeName(at).replace("step ", "")}` });
    return element("li", {}, swatch(line), name, where, element("b", { text: value(y) }));
  });
  const rest = found.length - rows.length;
  if (rest > 0) rows.push(element("li", { class: "quiet", text: `and ${rest} more` }));
  const near = card.signs.filter((sign) => Math.abs(card.axis.l2p(sign.x) - card.axis.l2p(x)) <= NEAR).slice(0, LISTED);
  rows.push(...near.map(({ text }) => element("li", { class: "sign", text })));
  fill(tooltip, element("p", { text: placeName(Number.isFinite(here) ? here : x) }), element("ul", {}, ...rows));
  // What is outside of an open dialog is behind it.
  const parent = card.element.closest("dialog") ?? document.body;
  if (tooltip.parentElement !== parent) parent.append(tooltip);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = clientX + 16 + width > innerWidth ? clientX - 16 - width : clientX + 16;
  tooltip.style.left = `${Math.max(4, left)}px`;
  tooltip.style.top = `${Math.max(4, Math.min(clientY + 12, innerHeight - height - 4))}px`;
}

function placeName(x) {
  if (store.now.x === "wall") return new Date(x).toISOString().replace("T", " ").slice(0, 19);
  if (store.now.x === "step") return `step ${value(Math.round(x))}`;
  return value(x);
}

function clear() {
  latest = null;
  if (tooltip) tooltip.hidden = true;
  for (const card of visibleCards()) {
    card.cursor.hidden = true;
    if (card.axis) card.note.textContent = card.noteText;
  }
}
