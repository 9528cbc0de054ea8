// @ts-check
// Finds points in the lines of a chart: the nearest to a value of x, all steps within a range. Pure.

/** @typedef {import("./figure.js").Line} Line */

/**
 * Returns the index of the value in ascending `column` that is nearest to `target`; -1 if the column is empty.
 *
 * @param {ArrayLike<number>} column
 * @param {number} target
 */
export function nearest(column, target) {
  let [low, high] = [0, column.length - 1];
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < target) low = middle + 1;
    else high = middle;
  }
  return low > 0 && target - column[low - 1] <= column[low] - target ? low - 1 : low;
}

/**
 * Returns each line's point nearest to `x`.
 *
 * @param {Line[]} lines
 * @param {number} x
 */
export function pointsAt(lines, x) {
  return lines
    .map((line) => ({ line, index: nearest(line.x, x) }))
    .filter(({ index }) => index >= 0)
    .map(({ line, index }) => ({ line, x: line.x[index], y: line.y[index] }));
}

/**
 * Returns the window `[first step, step after the last]` of a range of x; null if there are no points in it.
 *
 * @param {Line[]} lines
 * @param {boolean} isStepAxis whether x is the step
 * @param {number} low
 * @param {number} high
 * @returns {[number, number] | null}
 */
export function stepsBetween(lines, isStepAxis, low, high) {
  if (isStepAxis) return [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)];
  let [first, last] = [Infinity, -Infinity];
  for (const { x, steps } of lines) {
    if (!steps) continue;
    for (let index = Math.max(0, nearest(x, low)); index < x.length && x[index] <= high; index += 1) {
      if (x[index] < low) continue;
      first = Math.min(first, steps[index]);
      last = Math.max(last, steps[index]);
    }
  }
  return first <= last ? [first, last + 1] : null;
}
