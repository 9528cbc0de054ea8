// The tree of charts by the first part of their names. At first there are headings; the cards of a section are made while it is
// open and near the viewport, some at a time, so that 5,000 series cost no more than what is looked at.

import { Card, MODES } from "./card.js";
import { forget, watch } from "./charts.js";
import { element, fill, icon, segmented } from "./dom.js";
import { sectionsOf } from "./families.js";
import { count, counted } from "./format.js";
import { model } from "./model.js";
import { compile } from "./search.js";
import { keyed, store } from "./state.js";

const OPEN_UP_TO = 50; // charts
const AT_ONCE = 24; // cards
const CARD_WIDTH = 340;
const CARD_HEIGHT = 300;

let host = null;
let shown = [];

const filler = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) target.section.addCards();
  },
  { rootMargin: "400px 0px" },
);

export function setUpSections(node) {
  host = node;
  new ResizeObserver(layOut).observe(host);
  store.follow(["open", "shut"], () => shown.forEach((section) => section.follow()));
  store.follow(["columns"], layOut);
  store.follow(["mode", "band", "group", "pin"], () => allCards().forEach((card) => card.update()));
  store.follow(["mode", "band"], () => shown.forEach((section) => section.followModes()));
}

/** Shows the series that the search finds. Returns how many they are and what is wrong with the search, if anything. */
export function renderSections() {
  const { matches, error } = compile(store.now.q);
  const isSearching = store.now.q.trim() !== "";
  // Marks are drawn in every chart: by themselves they are shown only to whoever looks for them.
  const names = [...model.names.keys()].filter((name) => matches(name) && (isSearching || !name.startsWith("mark/")));
  const before = new Map(shown.map((section) => [section.name, section]));
  shown = sectionsOf(names).map(({ name, charts }) => {
    const section = before.get(name) ?? new Section(name);
    before.delete(name);
    section.setCharts(charts);
    return section;
  });
  for (const section of before.values()) section.remove();
  const nodes = shown.map((section) => section.element);
  if (nodes.length !== host.children.length || nodes.some((node, index) => host.children[index] !== node)) fill(host, ...nodes);
  layOut();
  return { found: names.length, error };
}

/** The charts of the open sections, in the page's order. */
export function sectionSpecs() {
  return shown.filter((section) => section.isOpen).flatMap((section) => section.charts.map((spec) => [spec, null]));
}

export function allCards() {
  return shown.flatMap((section) => [...section.cards.values()]);
}

/** How many cards stand side by side. */
export function numColumns(width) {
  return store.now.columns || Math.max(1, Math.floor((width + 12) / (CARD_WIDTH + 12)));
}

function layOut() {
  const columns = numColumns(host.clientWidth);
  host.style.setProperty("--columns", columns);
  for (const section of shown) section.layOut(columns);
}

class Section {
  charts = [];
  cards = new Map();

  constructor(name) {
    this.name = name;
    this.grid = element("div", { class: "grid" });
    this.rest = element("div", { class: "rest", "aria-hidden": "true" });
    this.rest.section = this;
    this.size = element("span", { class: "badge" });
    this.toggle = element("button", { type: "button", class: "toggle" }, icon("chevron"), name || "other", this.size);
    this.toggle.addEventListener("click", () => this.#turn());
    this.modes = element("div", { class: "modes" });
    const heading = element("div", { class: "heading" }, element("h2", {}, this.toggle), this.modes);
    this.element = element("section", { "data-section": name, "aria-label": name || "other" }, heading, this.grid, this.rest);
    filler.observe(this.rest);
  }

  get isOpen() {
    const { open, shut } = store.now;
    if (open.includes(this.name)) return true;
    return !shut.includes(this.name) && this.charts.length <= OPEN_UP_TO;
  }

  /** Takes the charts of the section; cards that stay the same stay where they are. */
  setCharts(charts) {
    this.charts = charts;
    const wanted = new Map(charts.map((spec) => [spec.key, spec]));
    for (const [key, card] of this.cards) {
      const spec = wanted.get(key);
      if (spec?.names.length === card.spec.names.length) card.update();
      else this.#drop(key);
    }
    const series = charts.reduce((sum, spec) => sum + spec.names.length, 0);
    this.size.textContent = count(series);
    this.size.title = `${counted(charts.length, "chart")} of ${count(series)} series`;
    this.follow();
    this.followModes();
  }

  /** Follows the state: open or closed. */
  follow() {
    const { isOpen } = this;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    this.element.classList.toggle("closed", !isOpen);
    if (!isOpen) for (const key of this.cards.keys()) this.#drop(key);
    this.grid.hidden = !isOpen;
    this.#fillRest();
    layOutSoon();
  }

  /** A section of several families has buttons for all of them. */
  followModes() {
    const families = this.charts.filter((spec) => spec.isFamily).length;
    if (families < 2 || !this.isOpen) return void fill(this.modes);
    const key = `@${this.name}`;
    const choose = (mode) => {
      const keys = new Set([key, ...this.charts.map((spec) => spec.key)]);
      const others = store.now.mode.filter((word) => !keys.has(word.slice(word.indexOf(":") + 1)));
      store.set({ mode: [...others, `${mode}:${key}`] });
    };
    const current = keyed(store.now.mode).get(key)?.[0] ?? store.now.band;
    fill(this.modes, segmented(`how all families of ${this.name} are drawn`, MODES, current, choose));
  }

  addCards() {
    if (!this.isOpen) return;
    const missing = this.charts.filter((spec) => !this.cards.has(spec.key)).slice(0, AT_ONCE);
    for (const spec of missing) {
      const card = new Card(spec);
      this.cards.set(spec.key, card);
      watch(card);
    }
    if (missing.length) this.#place();
    this.#fillRest();
  }

  layOut(columns) {
    this.columns = columns;
    const span = this.isOpen ? Math.min(columns, this.charts.length) : columns;
    this.element.style.gridColumn = `span ${span}`;
    this.grid.style.setProperty("--columns", span);
    this.#fillRest();
  }

  remove() {
    filler.unobserve(this.rest);
    for (const key of this.cards.keys()) this.#drop(key);
  }

  #drop(key) {
    const card = this.cards.get(key);
    forget(card);
    card.element.remove();
    this.cards.delete(key);
  }

  /** Puts the cards into the order of the charts, without moving those that are in it. */
  #place() {
    let last = null;
    for (const { key } of this.charts) {
      const node = this.cards.get(key)?.element;
      if (!node) continue;
      const next = last ? last.nextSibling : this.grid.firstChild;
      if (next !== node) this.grid.insertBefore(node, next);
      last = node;
    }
  }

  /** As high as the cards that are not there yet, so that the page's height is right from the start. */
  #fillRest() {
    const missing = this.isOpen ? this.charts.length - this.cards.size : 0;
    this.rest.hidden = missing === 0;
    this.rest.style.height = `${Math.ceil(missing / (this.columns ?? 1)) * CARD_HEIGHT}px`;
    // It may be in view as before: the observer tells only of changes, so it is made to look again.
    filler.unobserve(this.rest);
    if (missing) filler.observe(this.rest);
  }

  #turn() {
    const { open, shut } = store.now;
    const others = { open: open.filter((name) => name !== this.name), shut: shut.filter((name) => name !== this.name) };
    const side = this.isOpen ? "shut" : "open";
    store.set({ ...others, [side]: [...others[side], this.name] }, { keep: true });
  }
}

let isLayOutDue = false;

function layOutSoon() {
  if (isLayOutDue) return;
  isLayOutDue = true;
  queueMicrotask(() => {
    isLayOutDue = false;
    if (host.isConnected) layOut();
  });
}
