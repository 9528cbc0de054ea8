// @ts-check
// Formats numbers and times for people. Pure.

/** @typedef {number | null | undefined} OptionalNumber */

const INTEGER = new Intl.NumberFormat("en-US");

/**
 * Formats `5000` as `5,000`, and a missing count as an en dash.
 *
 * @param {OptionalNumber} number
 */
export function count(number) {
  return number === null || number === undefined ? "–" : INTEGER.format(number);
}

/**
 * Formats a count with its noun: `counted(2, "run")` is `2 runs`.
 *
 * @param {number} number
 * @param {string} noun
 * @param {string} [plural]
 */
export function counted(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/**
 * Formats a value with at most five significant digits. The server sends NaN and infinities as text.
 *
 * @param {OptionalNumber | string} given
 */
export function value(given) {
  const number = typeof given === "string" ? parseNonfinite(given) : given;
  if (number === null || number === undefined) return "–";
  if (Number.isNaN(number)) return "NaN";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return number.toExponential(3).replace("-", "−").replace("e+", "e");
  const rounded = Number.isInteger(number) ? number : Number(number.toPrecision(5));
  return (Number.isInteger(rounded) ? INTEGER.format(rounded) : String(rounded)).replace("-", "−");
}

/**
 * Returns the number for `inf` and `-inf`, and NaN for any other text.
 *
 * @param {string} text
 */
function parseNonfinite(text) {
  if (text === "inf") return Infinity;
  return text === "-inf" ? -Infinity : Number.NaN;
}

/**
 * Formats seconds as `42 s`, `3 min 20 s`, `2 h 5 min` or `3 d 4 h`.
 *
 * @param {OptionalNumber} secs
 */
export function duration(secs) {
  if (secs === null || secs === undefined || !Number.isFinite(secs)) return "–";
  const whole = Math.max(0, Math.round(secs));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return inTwoUnits(whole, 60, "min", 1, "s");
  return whole < 86_400 ? inTwoUnits(whole, 3600, "h", 60, "min") : inTwoUnits(whole, 86_400, "d", 3600, "h");
}

/**
 * @param {number} whole
 * @param {number} unit
 * @param {string} name
 * @param {number} smaller
 * @param {string} smallerName
 */
function inTwoUnits(whole, unit, name, smaller, smallerName) {
  const rest = Math.floor((whole % unit) / smaller);
  return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
}

/**
 * Formats an ISO time as local date and time.
 *
 * @param {string | null | undefined} text
 */
export function localTime(text) {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? "–" : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

/**
 * Compares for a natural order: `layer_2` before `layer_10`.
 *
 * @param {string} left
 * @param {string} right
 */
export function natural(left, right) {
  return COLLATOR.compare(left, right) || (left < right ? -1 : Number(left > right));
}
