// @ts-check
// The charts in sections, by the first part of their names. A section has only a heading at first. Its cards are created a few at
// a time while it is open and near the viewport, so the cost depends on what is viewed, not on the number of series.

import { valuesByKey } from "./address.js";
import { Card, MODES } from "./card.js";
import { unwatch, watch } from "./charts.js";
import { byId, element, fill, icon, segmented } from "./dom.js";
import { sectionsOf } from "./families.js";
import { count, counted } from "./format.js";
import { model } from "./model.js";
import { compile } from "./search.js";
import { store } from "./state.js";

/** @typedef {import("./families.js").ChartSpec} ChartSpec */

const MAX_OPEN_CHARTS = 50;
const CARDS_PER_STEP = 24;
const CARD_WIDTH = 340;
const CARD_HEIGHT = 300;
const GAP = 12;

const host = byId("sections");
/** @type {Section[]} */
let sections = [];

/** @type {WeakMap<Element, Section>} */
const sectionOfSpacer = new WeakMap();

const spacerObserver = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) sectionOfSpacer.get(target)?.addCards();
  },
  { rootMargin: "400px 0px" },
);

export function setUpSections() {
  new ResizeObserver(layOut).observe(host);
  store.onChange(["open", "closed"], () => sections.forEach((section) => section.update()));
  store.onChange(["columns"], layOut);
  store.onChange(["mode", "band", "group", "pin"], () => {
    for (const section of sections) for (const card of section.cards.values()) card.update();
  });
  store.onChange(["mode", "band"], () => sections.forEach((section) => section.updateModes()));
}

/** Shows the series that match the search. Returns how many match, and the error if the search is invalid. */
export function renderSections() {
  const { matches, error } = compile(store.now.q);
  const isSearching = store.now.q.trim() !== "";
  // Marks are drawn in every chart. Their own charts only appear in searches.
  const names = [...model.names.keys()].filter((name) => matches(name) && (isSearching || !name.startsWith("mark/")));
  const unused = new Map(sections.map((section) => [section.name, section]));
  sections = sectionsOf(names).map(({ name, charts }) => {
    const section = unused.get(name) ?? new Section(name);
    unused.delete(name);
    section.setCharts(charts);
    return section;
  });
  for (const section of unused.values()) section.remove();
  const nodes = sections.map((section) => section.element);
  if (nodes.length !== host.children.length || nodes.some((node, index) => host.children[index] !== node)) fill(host, ...nodes);
  layOut();
  return { found: names.length, error };
}

/** Returns the charts of the open sections, in the page's order. */
export function sectionSpecs() {
  return sections.filter((section) => section.isOpen).flatMap((section) => section.charts);
}

/**
 * Returns the number of columns that fit into a width, unless the user chose it.
 *
 * @param {number} width
 */
export function columnsFor(width) {
  return store.now.columns || Math.max(1, Math.floor((width + GAP) / (CARD_WIDTH + GAP)));
}

function layOut() {
  const columns = columnsFor(host.clientWidth);
  host.style.setProperty("--columns", String(columns));
  for (const section of sections) section.layOut(columns);
}

class Section {
  /** @type {ChartSpec[]} */
  charts = [];
  /** @type {Map<string, Card>} */
  cards = new Map();
  columns = 1;
  /** @type {string | null} the mode that its buttons show; null: it has no buttons */
  shownMode = null;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.grid = element("div", { class: "grid" });
    this.spacer = element("div", { class: "spacer", "aria-hidden": "true" });
    this.badge = element("span", { class: "badge" });
    const on = { click: () => this.#toggle() };
    this.button = element("button", { type: "button", class: "toggle", on }, icon("chevron"), name || "other", this.badge);
    this.modes = element("div", { class: "modes" });
    const heading = element("div", { class: "heading" }, element("h2", {}, this.button), this.modes);
    this.element = element("section", { "data-section": name, "aria-label": name || "other" }, heading, this.grid, this.spacer);
    sectionOfSpacer.set(this.spacer, this);
    spacerObserver.observe(this.spacer);
  }

  get isOpen() {
    const { open, closed } = store.now;
    if (open.includes(this.name)) return true;
    return !closed.includes(this.name) && this.charts.length <= MAX_OPEN_CHARTS;
  }

  /**
   * Sets the charts of the section. The cards of unchanged charts are kept.
   *
   * @param {ChartSpec[]} charts
   */
  setCharts(charts) {
    this.charts = charts;
    const specs = new Map(charts.map((spec) => [spec.key, spec]));
    for (const [key, card] of this.cards) {
      if (specs.get(key)?.names.length === card.spec.names.length) card.update();
      else this.#removeCard(key, card);
    }
    const series = charts.reduce((sum, spec) => sum + spec.names.length, 0);
    this.badge.textContent = count(series);
    this.badge.title = `${counted(charts.length, "chart")} of ${count(series)} series`;
    this.update();
    this.updateModes();
  }

  /** Opens or closes the section as the view requires. */
  update() {
    const { isOpen } = this;
    this.button.setAttribute("aria-expanded", String(isOpen));
    this.element.classList.toggle("closed", !isOpen);
    if (!isOpen) for (const [key, card] of this.cards) this.#removeCard(key, card);
    this.grid.hidden = !isOpen;
    this.#updateSpacer();
    layOutSoon();
  }

  /** Shows buttons that set the mode of all families, in sections with several families. */
  updateModes() {
    const families = this.charts.filter((spec) => spec.isFamily).length;
    const key = `@${this.name}`;
    const mode = valuesByKey(store.now.mode).get(key)?.[0] ?? store.now.band;
    const current = families > 1 && this.isOpen ? mode : null;
    if (current === this.shownMode) return;
    this.shownMode = current;
    const label = `display mode of all families of ${this.name}`;
    fill(this.modes, current === null ? null : segmented(label, MODES, current, (choice) => this.#choose(choice, key)));
  }

  /**
   * @param {string} mode
   * @param {string} sectionKey
   */
  #choose(mode, sectionKey) {
    const keys = new Set([sectionKey, ...this.charts.map((spec) => spec.key)]);
    const others = store.now.mode.filter((word) => !keys.has(word.slice(word.indexOf(":") + 1)));
    store.set({ mode: [...others, `${mode}:${sectionKey}`] });
  }

  addCards() {
    if (!this.isOpen) return;
    const missing = this.charts.filter((spec) => !this.cards.has(spec.key)).slice(0, CARDS_PER_STEP);
    for (const spec of missing) {
      const card = new Card(spec);
      this.cards.set(spec.key, card);
      watch(card);
    }
    if (missing.length) this.#insertCards();
    this.#updateSpacer();
  }

  /** @param {number} columns */
  layOut(columns) {
    this.columns = columns;
    const span = this.isOpen ? Math.min(columns, this.charts.length) : columns;
    this.element.style.gridColumn = `span ${span}`;
    this.grid.style.setProperty("--columns", String(span));
    this.#updateSpacer();
  }

  remove() {
    spacerObserver.unobserve(this.spacer);
    for (const [key, card] of this.cards) this.#removeCard(key, card);
  }

  /**
   * @param {string} key
   * @param {Card} card
   */
  #removeCard(key, card) {
    unwatch(card);
    card.element.remove();
    this.cards.delete(key);
  }

  /** Inserts new cards in the order of the charts. Cards that are in order don't move. */
  #insertCards() {
    /** @type {Element | null} */
    let last = null;
    for (const { key } of this.charts) {
      const node = this.cards.get(key)?.element;
      if (!node) continue;
      /** @type {ChildNode | null} */
      const next = last ? last.nextSibling : this.grid.firstChild;
      if (next !== node) this.grid.insertBefore(node, next);
      last = node;
    }
  }

  /** Makes the spacer as high as the missing cards, so that the page has its full height from the start. */
  #updateSpacer() {
    const missing = this.isOpen ? this.charts.length - this.cards.size : 0;
    this.spacer.hidden = missing === 0;
    this.spacer.style.height = `${Math.ceil(missing / this.columns) * CARD_HEIGHT}px`;
    // The observer only reports changes, and the spacer may still be in view: observing it again makes it report.
    spacerObserver.unobserve(this.spacer);
    if (missing) spacerObserver.observe(this.spacer);
  }

  #toggle() {
    const { open, closed } = store.now;
    const others = { open: open.filter((name) => name !== this.name), closed: closed.filter((name) => name !== this.name) };
    const list = this.isOpen ? "closed" : "open";
    store.set({ ...others, [list]: [...others[list], this.name] }, { replace: true });
  }
}

let isLayOutScheduled = false;

function layOutSoon() {
  if (isLayOutScheduled) return;
  isLayOutScheduled = true;
  queueMicrotask(() => {
    isLayOutScheduled = false;
    layOut();
  });
}
