// @ts-check
// Zooms by dragging over a chart: all charts, or with Shift only this one. A double click returns to the previous window. The
// server sends finer buckets for a narrower window, down to the points themselves.

import { request } from "./charts.js";
import { stepsBetween } from "./points.js";
import { store } from "./state.js";

/** @typedef {import("./card.js").Card} Card */

const MIN_PIXELS = 6;

/** @type {[start: number | null, stop: number | null][]} */
const previousWindows = [];

/** @param {Card} card */
export function enableZoom(card) {
  const { plot, selection } = card;
  /** @type {number | null} pixel at which the pointer went down */
  let origin = null;

  /** @param {PointerEvent} event */
  const pixelOf = (event) => {
    const { axis } = card;
    return axis ? axis.clamp(event.clientX - plot.getBoundingClientRect().left - axis.offset) : 0;
  };

  /** @param {PointerEvent} event */
  const finish = (event) => {
    selection.hidden = true;
    if (origin === null || !card.axis) return;
    const end = pixelOf(event);
    const [left, right] = [Math.min(origin, end), Math.max(origin, end)];
    origin = null;
    if (event.type === "pointerup" && right - left >= MIN_PIXELS) zoom(card, left, right, event.shiftKey);
  };

  plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !card.axis) return;
    origin = pixelOf(event);
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    if (origin !== null) showSelection(card, origin, pixelOf(event));
  });
  plot.addEventListener("pointerup", finish);
  plot.addEventListener("pointercancel", finish);
  plot.addEventListener("dblclick", () => zoomBack(card));
}

/**
 * @param {Card} card
 * @param {number} from
 * @param {number} to
 */
function showSelection({ axis, selection }, from, to) {
  selection.hidden = !axis || Math.abs(to - from) < MIN_PIXELS;
  if (!axis) return;
  selection.style.left = `${axis.offset + Math.min(from, to)}px`;
  selection.style.width = `${Math.abs(to - from)}px`;
}

/**
 * @param {Card} card
 * @param {number} left
 * @param {number} right
 * @param {boolean} onlyThisCard
 */
function zoom(card, left, right, onlyThisCard) {
  if (!card.axis) return;
  const window = stepsBetween(card.lines, store.now.x === "step", card.axis.toValue(left), card.axis.toValue(right));
  if (!window) return;
  if (onlyThisCard) {
    card.zoom = window;
    request(card);
    return;
  }
  const { start, stop } = store.now;
  if (start === null && stop === null) previousWindows.length = 0;
  previousWindows.push([start, stop]);
  store.set({ start: window[0], stop: window[1] });
}

/**
 * Returns to the window before the last zoom, or to all steps.
 *
 * @param {Card | null} [card] whose own zoom is undone first
 */
export function zoomBack(card = null) {
  if (card?.zoom) {
    card.zoom = null;
    request(card);
    return;
  }
  const [start, stop] = previousWindows.pop() ?? [null, null];
  store.set({ start, stop });
}

export function showAllSteps() {
  previousWindows.length = 0;
  store.set({ start: null, stop: null });
}
