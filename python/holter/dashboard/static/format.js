// Numbers and times as people read them. Pure functions.

const WHOLE = new Intl.NumberFormat("en-US");

/** `5000` as `5,000`; an absent count as an en dash. */
export function count(number) {
  return number === null || number === undefined ? "–" : WHOLE.format(number);
}

/** `counted(2, "run")` is `2 runs`. */
export function counted(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** A value in at most five significant digits; NaN and infinities by name. */
export function value(number) {
  const given = typeof number === "string" ? nonfinite(number) : number;
  if (given === null || given === undefined) return "–";
  if (Number.isNaN(given)) return "NaN";
  if (!Number.isFinite(given)) return given > 0 ? "∞" : "−∞";
  const size = Math.abs(given);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return given.toExponential(3).replace("-", "−").replace("e+", "e");
  const rounded = Number.isInteger(given) ? given : Number(given.toPrecision(5));
  return (Number.isInteger(rounded) ? WHOLE.format(rounded) : String(rounded)).replace("-", "−");
}

/** What the server writes for a number that JSON does not have; other text is NaN too. */
export function nonfinite(text) {
  return { inf: Infinity, "-inf": -Infinity }[text] ?? Number.NaN;
}

/** Seconds as `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(secs) {
  if (secs === null || secs === undefined || !Number.isFinite(secs)) return "–";
  const whole = Math.max(0, Math.round(secs));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  return whole < 86_400 ? pair(whole, 3600, "h", 60, "min") : pair(whole, 86_400, "d", 3600, "h");
}

function pair(whole, unit, name, smaller, smallerName) {
  const rest = Math.floor((whole % unit) / smaller);
  return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
}

/** An ISO time as the reader's own date and time. */
export function moment(text) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "–";
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

/** Orders `layer_2` before `layer_10`. */
export function natural(left, right) {
  return COLLATOR.compare(left, right) || (left < right ? -1 : Number(left > right));
}
