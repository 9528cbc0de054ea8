// @ts-check
// Converts between pixels and values along the x axis of a drawn plot. Pure.
//
// plotly.js has this conversion on private fields only. Here it follows from what is public: the axis's type and range in
// `layout`, which plotly.js completes when it chooses the range, and the pixels that the plot area covers.

export class Axis {
  /**
   * @param {"linear" | "date"} type
   * @param {[number, number]} range values at the left and right end; for dates, milliseconds since 1970
   * @param {number} offset pixels from the plot's left edge to the axis's left end
   * @param {number} length in pixels
   */
  constructor(type, range, offset, length) {
    this.type = type;
    this.range = range;
    this.offset = offset;
    this.length = length;
  }

  /** @param {number} pixel from the axis's left end */
  toValue(pixel) {
    const [low, high] = this.range;
    return low + (pixel / this.length) * (high - low);
  }

  /** @param {number} value */
  toPixel(value) {
    const [low, high] = this.range;
    return ((value - low) / (high - low)) * this.length;
  }

  /** @param {number} pixel */
  contains(pixel) {
    return pixel >= 0 && pixel <= this.length;
  }

  /** @param {number} pixel */
  clamp(pixel) {
    return Math.min(this.length, Math.max(0, pixel));
  }
}

/**
 * Returns the axis for the `xaxis` of a layout; null if it has categories, or if nothing is drawn.
 *
 * @param {{type?: string, range?: (number | string)[]} | undefined} xaxis
 * @param {number} offset
 * @param {number} length
 */
export function axisFor(xaxis, offset, length) {
  if (!xaxis || (xaxis.type !== "linear" && xaxis.type !== "date") || xaxis.range?.length !== 2 || !(length > 0)) return null;
  const [low, high] = xaxis.range.map((end) => (typeof end === "string" ? parseDate(end) : end));
  return low < high ? new Axis(xaxis.type, [low, high], offset, length) : null;
}

/**
 * Returns milliseconds since 1970 for a date as plotly.js writes it: UTC, `2026-03-01 12:30:00.1234`, or shorter.
 *
 * @param {string} text
 */
export function parseDate(text) {
  const [date, time] = text.split(" ");
  if (!time) return Date.parse(date);
  const [clock, fraction = "0"] = time.split(".");
  return Date.parse(`${date}T${clock}Z`) + Number(`0.${fraction}`) * 1000;
}
