// Dragging over a chart zooms into its steps: all charts, with Shift this one alone. A double click goes back to what was
// seen before. The server is asked for the window anew, with finer buckets, down to the points themselves.

import { request } from "./charts.js";
import { nearest } from "./figure.js";
import { store } from "./state.js";

const MIN_PIXELS = 6;
const before = []; // windows to go back to

/** Makes the card's plot react to dragging and double clicks. */
export function followDrag(card) {
  let from = null;
  const place = (event) => {
    const axis = card.axis;
    const x = event.clientX - card.plot.getBoundingClientRect().left - axis._offset;
    return Math.min(axis._length, Math.max(0, x));
  };
  card.plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !card.axis) return;
    from = place(event);
    card.plot.setPointerCapture(event.pointerId);
  });
  card.plot.addEventListener("pointermove", (event) => {
    if (from !== null && card.axis) mark(card, from, place(event));
  });
  const end = (event) => {
    card.selection.hidden = true;
    if (from === null || !card.axis) return;
    const [left, right] = [from, place(event)].sort((one, other) => one - other);
    from = null;
    if (event.type === "pointerup" && right - left >= MIN_PIXELS) zoom(card, left, right, event.shiftKey);
  };
  card.plot.addEventListener("pointerup", end);
  card.plot.addEventListener("pointercancel", end);
  card.plot.addEventListener("dblclick", () => goBack(card));
}

function mark(card, from, to) {
  card.selection.hidden = Math.abs(to - from) < MIN_PIXELS;
  card.selection.style.left = `${card.axis._offset + Math.min(from, to)}px`;
  card.selection.style.width = `${Math.abs(to - from)}px`;
}

function zoom(card, left, right, isAlone) {
  const window = stepsBetween(card, card.axis.p2l(left), card.axis.p2l(right));
  if (!window) return;
  if (isAlone) {
    card.zoom = window;
    request(card);
    return;
  }
  const { start, stop } = store.now;
  if (start === null && stop === null) before.length = 0; // There is nothing before all steps.
  before.push([start, stop]);
  store.set({ start: window[0], stop: window[1] });
}

/** Back to the window before the last zoom; all steps if there was none. */
export function goBack(card = null) {
  if (card?.zoom) {
    card.zoom = null;
    request(card);
    return;
  }
  const [start, stop] = before.pop() ?? [null, null];
  store.set({ start, stop });
}

export function showAll() {
  before.length = 0;
  store.set({ start: null, stop: null });
}

/** The steps `[first, after the last]` between two places on the axis; null if there are none. */
function stepsBetween(card, low, high) {
  if (store.now.x === "step") return [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)];
  let [first, last] = [Infinity, -Infinity];
  for (const { x, steps } of card.lines) {
    if (!steps) continue;
    for (let index = Math.max(0, nearest(x, low)); index < x.length && x[index] <= high; index += 1) {
      if (x[index] < low) continue;
      first = Math.min(first, steps[index]);
      last = Math.max(last, steps[index]);
    }
  }
  return first <= last ? [first, last + 1] : null;
}
