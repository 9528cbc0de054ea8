// What the user looks at, all of it in the URL's hash: a link shows the same, back and forward work, a reload loses nothing.
// Pins are also kept in this browser, for the next visit without a link.

const PINS = "holter.pins";

const text = (fallback = "") => ({ fallback, read: (values) => values[0], write: (value) => [value] });
const flag = () => ({ fallback: false, read: (values) => values[0] === "1", write: (value) => (value ? ["1"] : []) });
const number = (fallback) => ({ fallback, read: (values) => numeric(values[0], fallback), write: (value) => [String(value)] });
const list = () => ({ fallback: [], read: (values) => values.filter(Boolean), write: (values) => values });
/** A list that is null until the user has chosen; chosen to be empty, it is one empty word in the URL. */
const choice = () => ({
  fallback: null,
  read: (values) => values.filter(Boolean),
  write: (values) => (values.length ? values : [""]),
});

const FIELDS = {
  tab: text("charts"), // charts | compare | details
  run: choice(), // ids of the selected runs; null: the newest eight
  group: text(), // config:KEY | name:PATTERN
  q: text(), // the search
  pin: { ...choice(), write: (keys) => keys }, // keys of pinned charts; null: this browser's
  smooth: number(0), // half-life in steps
  log: flag(),
  trim: flag(),
  marks: text("on"), // on | off
  band: text(), // how families are drawn; empty: bands from four members on
  x: text("step"), // step | relative | wall | metric:NAME
  start: number(null), // the zoom: first step
  stop: number(null), // and the step after the last one
  columns: number(0), // 0: as many as fit
  theme: text(), // light | dark; empty: the system's
  bar: text(), // the runs bar: open | closed; empty: open where there is room
  open: list(), // sections opened by hand
  shut: list(), // sections closed by hand
  mode: list(), // "std:KEY": how one family is drawn
  line: list(), // "1.5:KEY": a threshold
  change: list(), // keys of charts that show change points
  at: text(), // Compare: the steps
  metric: text(), // Compare: further metrics
  of: text(), // Details: the run
};

function numeric(word, fallback) {
  const value = Number(word);
  return word === "" || !Number.isFinite(value) ? fallback : value;
}

/** Reads a hash; what is not there or makes no sense is as it is at first. */
export function parse(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = {};
  for (const [name, field] of Object.entries(FIELDS)) {
    state[name] = given.has(name) ? field.read(given.getAll(name)) : field.fallback;
  }
  return state;
}

/** Writes a hash that `parse` reads; what is as at first is left out. */
export function format(state) {
  const words = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    if (state[name] === null || same(state[name], field.fallback)) continue;
    for (const word of field.write(state[name])) words.append(name, word);
  }
  return words.toString();
}

function same(left, right) {
  return JSON.stringify(left) === JSON.stringify(right);
}

class Store extends EventTarget {
  constructor() {
    super();
    this.now = parse(location.hash);
    if (this.now.pin === null) this.now.pin = storedPins();
    const follow = () => this.#change(parse(location.hash));
    addEventListener("popstate", follow);
    addEventListener("hashchange", follow);
  }

  /** Changes the state; `keep` overwrites the entry of the browser's history instead of adding one. */
  set(patch, { keep = false } = {}) {
    const next = { ...this.now, ...patch };
    const hash = `#${format(next)}`;
    if (hash !== location.hash) history[keep ? "replaceState" : "pushState"](null, "", hash);
    if (patch.pin) localStorage.setItem(PINS, JSON.stringify(patch.pin));
    this.#change(next);
  }

  /** Calls `listener` whenever one of these fields has changed. */
  follow(fields, listener) {
    this.addEventListener("change", ({ detail }) => {
      if (fields.some((field) => detail.has(field))) listener();
    });
  }

  #change(next) {
    if (next.pin === null) next.pin = storedPins();
    const changed = new Set(Object.keys(FIELDS).filter((name) => !same(this.now[name], next[name])));
    this.now = next;
    if (changed.size) this.dispatchEvent(new CustomEvent("change", { detail: changed }));
  }
}

function storedPins() {
  try {
    const pins = JSON.parse(localStorage.getItem(PINS) ?? "[]");
    return Array.isArray(pins) ? pins.filter((pin) => typeof pin === "string") : [];
  } catch {
    return [];
  }
}

export const store = new Store();

const wide = matchMedia("(width > 760px)");

/** Whether the bar of runs is to be seen. */
export function isBarOpen() {
  return store.now.bar === "" ? wide.matches : store.now.bar === "open";
}

export function toggleBar() {
  store.set({ bar: isBarOpen() ? "closed" : "open" }, { keep: true });
}

/** The keys of a list of "VALUE:KEY" words, each with its values. */
export function keyed(words) {
  const values = new Map();
  for (const word of words) {
    const end = word.indexOf(":");
    const key = word.slice(end + 1);
    if (end > 0) values.set(key, [...(values.get(key) ?? []), word.slice(0, end)]);
  }
  return values;
}

/** The list without or with an item, whichever it is not now. */
export function toggled(items, item) {
  return items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
}
