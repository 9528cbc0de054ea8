// @ts-check
// The view as the URL's hash: a link shows the same view, back and forward work, and a reload loses nothing. Pure.

/**
 * @typedef {object} State
 * @property {string} tab charts, compare or details
 * @property {string[] | null} run IDs of the selected runs; null: the newest eight
 * @property {string} group config:KEY or name:PATTERN; empty: no grouping
 * @property {string} q the search query
 * @property {string[] | null} pin keys of pinned charts; null: those stored in this browser
 * @property {number} smooth half-life in steps; 0: off
 * @property {boolean} log
 * @property {boolean} trim
 * @property {string} marks on or off
 * @property {string} band how families are drawn; empty: as bands from four members up
 * @property {string} x step, relative, wall or metric:NAME
 * @property {number | null} start the zoom window's first step
 * @property {number | null} stop the step after the window's last one
 * @property {number} columns 0: as many as fit
 * @property {string} theme light or dark; empty: the system's
 * @property {string} bar the list of runs: open or closed; empty: open on wide screens
 * @property {string[]} open sections that the user opened
 * @property {string[]} closed sections that the user closed
 * @property {string[]} mode "std:KEY": how the family KEY is drawn
 * @property {string[]} threshold "1.5:KEY": a horizontal line in the chart KEY
 * @property {string[]} change keys of charts that show change points
 * @property {string} at Compare: steps
 * @property {string} metric Compare: more metrics
 * @property {string} details Details: ID of the run
 */

/**
 * @template T
 * @typedef {object} Field
 * @property {T} fallback
 * @property {(values: string[]) => T} read
 * @property {(value: any) => string[]} write
 */

/** @returns {Field<string>} */
const text = (fallback = "") => ({ fallback, read: (values) => values[0], write: (value) => [value] });

/** @returns {Field<boolean>} */
const flag = () => ({ fallback: false, read: (values) => values[0] === "1", write: (value) => (value ? ["1"] : []) });

/**
 * @template {number | null} T
 * @param {T} fallback
 * @returns {Field<number | T>}
 */
const number = (fallback) => ({
  fallback,
  read: (values) => (values[0] === "" || !Number.isFinite(Number(values[0])) ? fallback : Number(values[0])),
  write: (value) => [String(value)],
});

/** @returns {Field<string[]>} */
const list = () => ({ fallback: [], read: (values) => values.filter(Boolean), write: (values) => values });

/**
 * A list that is null until the user makes a choice. A choice of nothing is written as an empty value.
 *
 * @returns {Field<string[] | null>}
 */
const choice = () => ({
  fallback: null,
  read: (values) => values.filter(Boolean),
  write: (values) => (values.length ? values : [""]),
});

/** @type {{[Name in keyof State]: Field<State[Name]>}} */
const FIELDS = {
  tab: text("charts"),
  run: choice(),
  group: text(),
  q: text(),
  pin: { ...choice(), write: (keys) => keys },
  smooth: number(0),
  log: flag(),
  trim: flag(),
  marks: text("on"),
  band: text(),
  x: text("step"),
  start: number(null),
  stop: number(null),
  columns: number(0),
  theme: text(),
  bar: text(),
  open: list(),
  closed: list(),
  mode: list(),
  threshold: list(),
  change: list(),
  at: text(),
  metric: text(),
  details: text(),
};

const NAMES = /** @type {(keyof State)[]} */ (Object.keys(FIELDS));

/**
 * Parses a hash. Fields that are missing or invalid get their default.
 *
 * @param {string} hash
 * @returns {State}
 */
export function parseHash(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const entries = NAMES.map((name) => {
    const { read, fallback } = FIELDS[name];
    return [name, given.has(name) ? read(given.getAll(name)) : fallback];
  });
  return Object.fromEntries(entries);
}

/**
 * Formats a hash that `parseHash` reads, without the fields that have their default.
 *
 * @param {State} state
 */
export function formatHash(state) {
  const words = new URLSearchParams();
  for (const name of NAMES) {
    const { fallback, write } = FIELDS[name];
    if (state[name] === null || isEqual(state[name], fallback)) continue;
    for (const word of write(state[name])) words.append(name, word);
  }
  return words.toString();
}

/**
 * Returns the names of the fields in which two states differ.
 *
 * @param {State} left
 * @param {State} right
 */
export function changedFields(left, right) {
  return new Set(NAMES.filter((name) => !isEqual(left[name], right[name])));
}

/**
 * @param {unknown} left
 * @param {unknown} right
 */
function isEqual(left, right) {
  return JSON.stringify(left) === JSON.stringify(right);
}

/**
 * Groups "VALUE:KEY" words by key.
 *
 * @param {string[]} words
 * @returns {Map<string, string[]>}
 */
export function valuesByKey(words) {
  const values = new Map();
  for (const word of words) {
    const end = word.indexOf(":");
    const key = word.slice(end + 1);
    if (end > 0) values.set(key, [...(values.get(key) ?? []), word.slice(0, end)]);
  }
  return values;
}

/**
 * Removes an item from a list, or adds it if it is not in the list.
 *
 * @param {string[]} items
 * @param {string} item
 */
export function toggled(items, item) {
  return items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
}
