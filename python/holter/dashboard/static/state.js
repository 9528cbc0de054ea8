// @ts-check
// Holds the view and keeps it in the URL's hash. Pins are also stored in this browser, for the next visit without a link.

import { changedFields, formatHash, parseHash } from "./address.js";

/**
 * @typedef {import("./address.js").State} State
 * @typedef {State & {pin: string[]}} View
 */

const PINS = "holter.pins";

export class Store extends EventTarget {
  /** @type {View} */
  now = withPins(parseHash(location.hash));

  constructor() {
    super();
    const update = () => this.#update(withPins(parseHash(location.hash)));
    addEventListener("popstate", update);
    addEventListener("hashchange", update);
  }

  /**
   * Changes the view.
   *
   * @param {Partial<View>} patch
   * @param {{replace?: boolean}} options `replace` overwrites the current entry of the browser's history
   */
  set(patch, { replace = false } = {}) {
    const next = { ...this.now, ...patch };
    const hash = `#${formatHash(next)}`;
    if (hash !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", hash);
    if (patch.pin) localStorage.setItem(PINS, JSON.stringify(patch.pin));
    this.#update(next);
  }

  /**
   * Calls `listener` after each change of one of these fields, or of any field if `fields` is null.
   *
   * @param {(keyof State)[] | null} fields
   * @param {() => void} listener
   */
  onChange(fields, listener) {
    this.addEventListener("change", (event) => {
      const { detail } = /** @type {CustomEvent<Set<keyof State>>} */ (event);
      if (fields === null || fields.some((field) => detail.has(field))) listener();
    });
  }

  /** @param {View} next */
  #update(next) {
    const changed = changedFields(this.now, next);
    this.now = next;
    if (changed.size) this.dispatchEvent(new CustomEvent("change", { detail: changed }));
  }
}

/**
 * @param {State} state
 * @returns {View}
 */
function withPins(state) {
  return { ...state, pin: state.pin ?? storedPins() };
}

/** @returns {string[]} */
function storedPins() {
  try {
    const pins = JSON.parse(localStorage.getItem(PINS) ?? "[]");
    return Array.isArray(pins) ? pins.filter((pin) => typeof pin === "string") : [];
  } catch {
    return [];
  }
}

export const store = new Store();

const wideScreen = matchMedia("(width > 760px)");

export function isBarOpen() {
  return store.now.bar === "" ? wideScreen.matches : store.now.bar === "open";
}

export function toggleBar() {
  store.set({ bar: isBarOpen() ? "closed" : "open" }, { replace: true });
}

export function toggleMarks() {
  store.set({ marks: store.now.marks === "on" ? "off" : "on" }, { replace: true });
}
