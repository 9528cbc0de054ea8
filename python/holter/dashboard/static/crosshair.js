// @ts-check
// A crosshair across all charts: while the pointer hovers over a chart, all show a line at the same x and their values there.

import { visibleCards } from "./charts.js";
import { byId, element, fill } from "./dom.js";
import { value } from "./format.js";
import { pointsAt } from "./points.js";
import { store } from "./state.js";

/**
 * @typedef {import("./card.js").Card} Card
 * @typedef {import("./figure.js").Line} Line
 * @typedef {{card: Card, clientX: number, clientY: number}} Position
 */

const MAX_NOTE_VALUES = 3;
const MAX_TOOLTIP_ROWS = 14;
const ANNOTATION_PIXELS = 7;

const tooltip = byId("tooltip");
/** @type {Position | null} */
let latest = null;
let isScheduled = false;

/** @param {Card} card */
export function enableCrosshair(card) {
  card.plot.addEventListener("pointermove", ({ clientX, clientY }) => {
    latest = { card, clientX, clientY };
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      if (latest) show(latest);
    });
  });
  card.plot.addEventListener("pointerleave", clear);
}

/** @param {Position} position */
function show({ card, clientX, clientY }) {
  const { axis } = card;
  if (!axis) return clear();
  const pixel = clientX - card.plot.getBoundingClientRect().left - axis.offset;
  if (!axis.contains(pixel)) return clear();
  const x = axis.toValue(pixel);
  for (const other of visibleCards()) showLine(other, x, axis.type);
  if (card.lines.length) showTooltip(card, x, clientX, clientY);
}

/**
 * Shows the line of one card at `x`, if its axis is of the same type and reaches `x`.
 *
 * @param {Card} card
 * @param {number} x
 * @param {string} type
 */
function showLine(card, x, type) {
  const axis = card.axis?.type === type ? card.axis : null;
  const pixel = axis ? axis.toPixel(x) : 0;
  card.cursor.hidden = !axis?.contains(pixel);
  if (!axis || card.cursor.hidden) return;
  card.cursor.style.transform = `translateX(${axis.offset + pixel}px)`;
  const points = pointsAt(card.lines, x).slice(0, MAX_NOTE_VALUES);
  if (points.length) fill(card.note, ...points.flatMap(({ line, y }) => [swatch(line), element("b", { text: value(y) })]));
}

/** @param {Line} line */
function swatch({ color, dash, label }) {
  return element("span", { class: `swatch ${dash}`, title: label, style: { "--color": color } });
}

/**
 * @param {Card} card
 * @param {number} x
 * @param {number} clientX
 * @param {number} clientY
 */
function showTooltip(card, x, clientX, clientY) {
  const points = pointsAt(card.lines, x).sort((left, right) => right.y - left.y);
  // The lines may have points at different steps. The heading is the nearest of them, the others are shown with their value.
  const nearest = points.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best - x) ? point.x : best), Infinity);
  const rows = points.slice(0, MAX_TOOLTIP_ROWS).map((point) => {
    const name = element("span", { class: "name", text: point.line.label });
    const at = `at ${formatX(point.x).replace("step ", "")}`;
    const where = point.x === nearest ? null : element("span", { class: "quiet", text: at });
    return element("li", {}, swatch(point.line), name, where, element("b", { text: value(point.y) }));
  });
  if (points.length > rows.length) rows.push(element("li", { class: "quiet", text: `and ${points.length - rows.length} more` }));
  rows.push(...annotationsNear(card, x).map((text) => element("li", { class: "annotation", text })));
  fill(tooltip, element("p", { text: formatX(Number.isFinite(nearest) ? nearest : x) }), element("ul", {}, ...rows));
  // A modal dialog covers everything outside it.
  const parent = card.element.closest("dialog") ?? document.body;
  if (tooltip.parentElement !== parent) parent.append(tooltip);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = clientX + 16 + width > innerWidth ? clientX - 16 - width : clientX + 16;
  tooltip.style.left = `${Math.max(4, left)}px`;
  tooltip.style.top = `${Math.max(4, Math.min(clientY + 12, innerHeight - height - 4))}px`;
}

/**
 * @param {Card} card
 * @param {number} x
 */
function annotationsNear({ annotations, axis }, x) {
  if (!axis) return [];
  const pixel = axis.toPixel(x);
  const near = annotations.filter((annotation) => Math.abs(axis.toPixel(annotation.x) - pixel) <= ANNOTATION_PIXELS);
  return near.slice(0, MAX_TOOLTIP_ROWS).map(({ text }) => text);
}

/** @param {number} x */
function formatX(x) {
  if (store.now.x === "wall") return new Date(x).toISOString().replace("T", " ").slice(0, 19);
  if (store.now.x === "step") return `step ${value(Math.round(x))}`;
  return value(x);
}

function clear() {
  latest = null;
  tooltip.hidden = true;
  for (const card of visibleCards()) {
    card.cursor.hidden = true;
    if (card.axis) card.note.textContent = card.noteText;
  }
}
