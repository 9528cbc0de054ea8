// @ts-check
// A chart in its frame: title, display modes of a family, legend, plot, note. What it shows follows from the shared view. Only
// its own zoom, log scale and heatmap run are kept here, and are lost when the page is closed.

import { toggled, valuesByKey } from "./address.js";
import * as charts from "./charts.js";
import { enableCrosshair } from "./crosshair.js";
import { element, fill, iconButton, segmented } from "./dom.js";
import { annotationsOf, linesOf } from "./figure.js";
import { count } from "./format.js";
import { openMenu } from "./menu.js";
import { model } from "./model.js";
import { axisOf, drawInto, erase } from "./plot.js";
import { store } from "./state.js";
import { enableZoom } from "./zoom.js";

/**
 * @typedef {import("./families.js").ChartSpec} ChartSpec
 * @typedef {import("./figure.js").Line} Line
 */

/**
 * The ways to draw a family.
 *
 * @type {[value: string, text: string, title: string][]}
 */
export const MODES = [
  ["each", "each", "one line per series"],
  ["std", "± std", "mean ± standard deviation"],
  ["minmax", "min–max", "mean, minimum and maximum"],
  ["quantile", "10–90 %", "median, 10 % and 90 % quantiles"],
  ["heatmap", "heatmap", "one row per series, colors show values"],
  ["latest", "latest", "latest value of each series"],
];
const BANDS = ["std", "minmax", "quantile"];
const MIN_BAND_MEMBERS = 4;
const MAX_LEGEND_ITEMS = 8;

export class Card {
  /** @type {Line[]} */
  lines = [];
  /** @type {import("./figure.js").Annotation[]} */
  annotations = [];
  /** @type {import("./axis.js").Axis | null} the x axis; null until the chart is drawn, and for charts of categories */
  axis = null;
  /** @type {string | null} identifies the request for the current figure */
  signature = null;
  /** @type {[start: number, stop: number] | null} zoom of this card only */
  zoom = null;
  /** @type {boolean | null} log scale of this card only */
  log = null;
  /** @type {string | null} ID of the run that the heatmap shows */
  heatmapRun = null;
  noteText = "";
  /** @type {string | null} the mode that its buttons show */
  shownMode = null;

  /**
   * @param {ChartSpec} spec
   * @param {string | null} fixedKind the kind that the server chose for an overview chart; null elsewhere
   */
  constructor(spec, fixedKind = null) {
    const { key, title, names } = spec;
    this.spec = spec;
    this.fixedKind = fixedKind;
    this.box = /** @type {PlotBox} */ (element("div", { class: "box" }));
    this.cursor = element("div", { class: "cursor", hidden: true });
    this.selection = element("div", { class: "selection", hidden: true });
    this.plot = element("div", { class: "plot", role: "img", "aria-label": `chart of ${key}` }, this.box, this.cursor, this.selection);
    this.note = element("p", { class: "note" });
    this.legend = element("ul", { class: "legend" });
    this.modes = element("div", { class: "modes" });
    this.alarm = element("span", { class: "alarm" });
    this.pin = iconButton("pin", `pin ${key}`, () => store.set({ pin: toggled(store.now.pin, key) }));
    this.more = iconButton("more", `more for ${key}`, () => openMenu(this), { "aria-haspopup": "menu" });
    const enlarge = { type: "button", class: "title", title: key, text: title, "aria-label": `${key}: full screen` };
    this.title = element("button", { ...enlarge, on: { click: () => this.toggleFullScreen() } });
    const hasBadge = names.length > 1 && fixedKind !== "speed";
    const badge = hasBadge ? element("span", { class: "badge", text: count(names.length), title: "series" }) : null;
    this.element = element(
      "article",
      { class: "card", "data-key": key, "data-section": spec.section, "aria-label": `chart ${key}` },
      element("header", {}, element("h3", {}, this.title, badge, this.alarm), fixedKind ? null : this.pin, this.more),
      this.modes,
      this.legend,
      this.plot,
      this.note,
    );
    for (const node of [this.element, this.plot]) charts.cardOf.set(node, this);
    this.setState("waiting");
    enableZoom(this);
    enableCrosshair(this);
    this.update();
  }

  toggleFullScreen() {
    this.element.dispatchEvent(new CustomEvent("full-screen", { bubbles: true }));
  }

  /** `each`, `std`, `minmax`, `quantile`, `heatmap` or `latest`. */
  get mode() {
    const { band, mode, group } = store.now;
    const chosen = valuesByKey(mode);
    const own = (chosen.get(this.spec.key) ?? chosen.get(`@${this.spec.section}`))?.[0];
    if (this.spec.isFamily) return own ?? (band || (this.spec.names.length >= MIN_BAND_MEMBERS ? "std" : "each"));
    if (!group) return "each";
    return own ?? (band === "each" || BANDS.includes(band) ? band : "std");
  }

  /** `line`, `band`, `heatmap`, `latest` or `speed`. */
  get kind() {
    if (this.fixedKind === "speed" || (this.fixedKind && !this.spec.isFamily && !store.now.group)) return this.fixedKind;
    if (this.mode === "each") return "line";
    return this.mode === "heatmap" || this.mode === "latest" ? this.mode : "band";
  }

  /** Returns the IDs of the runs that the chart shows. */
  runs() {
    return this.#groups().flatMap((group) => group.runs);
  }

  /**
   * Returns the request for the figure; null if no run is selected.
   *
   * @returns {import("./api.js").RequestedChart | null}
   */
  request() {
    const { key, names } = this.spec;
    const groups = this.#groups();
    if (!groups.length) return null;
    const thresholds = valuesByKey(store.now.threshold).get(key);
    return {
      key,
      kind: this.kind,
      names,
      groups,
      ...(this.kind === "band" ? { band: this.mode === "each" ? "std" : this.mode } : {}),
      ...(thresholds ? { thresholds: thresholds.map((y) => ({ y: Number(y), label: "" })) } : {}),
      ...(store.now.change.includes(key) ? { change_points: true } : {}),
    };
  }

  #groups() {
    const groups = model.groups.map(({ label, color, runs }) => ({ label, color, runs: runs.map((run) => run.id) }));
    if (this.kind !== "heatmap") return groups;
    const chosen = groups.find(({ runs }) => this.heatmapRun !== null && runs.includes(this.heatmapRun)) ?? groups[0];
    return chosen ? [chosen] : [];
  }

  /** Returns the parts of the view in which this card differs from the others. */
  ownView() {
    return {
      ...(this.zoom ? { start: this.zoom[0], stop: this.zoom[1] } : {}),
      ...(this.log === null ? {} : { log_y: this.log }),
    };
  }

  /** Updates the buttons and the number of NaN and infinite values. */
  update() {
    const { key, names, isFamily } = this.spec;
    this.pin.setAttribute("aria-pressed", String(store.now.pin.includes(key)));
    this.element.dataset.kind = this.kind;
    if (this.kind === "speed") return; // It shows when points were logged, not their values.
    const nonfinite = names.reduce((sum, name) => sum + (model.names.get(name)?.nonfinite ?? 0), 0);
    this.alarm.textContent = nonfinite ? `${count(nonfinite)} NaN/Inf` : "";
    this.alarm.title = nonfinite ? "NaN or infinite values" : "";
    // Buttons that don't change stay in place: replacing them would drop the focus and clicks.
    if (!isFamily || this.mode === this.shownMode) return;
    this.shownMode = this.mode;
    fill(this.modes, segmented(`display mode of ${key}`, MODES, this.mode, (mode) => this.#choose(mode)));
  }

  /** @param {string} mode */
  #choose(mode) {
    const others = store.now.mode.filter((word) => !valuesByKey([word]).has(this.spec.key));
    store.set({ mode: [...others, `${mode}:${this.spec.key}`] });
  }

  /** @param {"waiting" | "loading" | "drawn" | "failed"} state */
  setState(state) {
    this.element.dataset.state = state;
    this.plot.setAttribute("aria-busy", String(state === "loading"));
  }

  /** @param {import("./plot.js").Answer} answer */
  async draw(answer) {
    const data = await drawInto(this.box, answer, this.kind);
    this.lines = linesOf(data);
    this.annotations = annotationsOf(data);
    this.axis = axisOf(this.box);
    const { dataset } = this.element;
    dataset.width = String(answer.width);
    dataset.kind = this.kind;
    dataset.draws = String(Number(dataset.draws ?? 0) + 1);
    this.noteText = answer.note ?? "";
    if (this.cursor.hidden) this.note.textContent = this.noteText; // else it shows the values at the crosshair
    this.note.classList.remove("error");
    this.#updateLegend();
    const lines = this.kind === "line" || this.kind === "band" ? `, ${this.lines.length} lines` : "";
    this.plot.setAttribute("aria-label", `${this.kind} chart of ${this.spec.key}${lines}; the menu has its values as a table`);
    this.setState("drawn");
  }

  /** Lists the lines. Charts of several series of several runs list the series by dash and the runs by color. */
  #updateLegend() {
    const byName = new Map(this.lines.map((line) => [line.name, line]));
    const byRun = new Map(this.lines.map((line) => [line.run, line]));
    /** @type {{label: string, color?: string, dash?: string}[]} */
    let entries = this.lines;
    if (byName.size > 1 && byRun.size > 1) {
      entries = [
        ...[...byName].map(([label, { dash }]) => ({ label, dash })),
        ...[...byRun].map(([label, { color }]) => ({ label, color })),
      ];
    }
    const prefix = this.spec.section ? `${this.spec.section}/` : "";
    const items = entries.slice(0, MAX_LEGEND_ITEMS).map((entry) => legendItem(entry, prefix));
    const choice = this.#heatmapRunChoice();
    if (choice) items.push(element("li", {}, choice));
    if (entries.length > items.length) items.push(element("li", { text: `+ ${entries.length - items.length}` }));
    fill(this.legend, ...items);
  }

  /** A heatmap shows a single run, so it needs a choice if several are selected. */
  #heatmapRunChoice() {
    if (this.kind !== "heatmap" || model.groups.length < 2) return null;
    const select = element("select", { "aria-label": `run of the heatmap ${this.spec.key}` });
    for (const { label, runs } of model.groups) select.append(element("option", { value: runs[0].id, text: label }));
    select.value = this.runs()[0];
    select.addEventListener("change", () => {
      this.heatmapRun = select.value;
      charts.request(this);
    });
    return select;
  }

  /** @param {string} message */
  fail(message) {
    this.#clear();
    this.note.textContent = message;
    this.note.classList.add("error");
    this.plot.setAttribute("aria-label", message);
    fill(this.legend);
    this.setState("failed");
  }

  /** Erases the chart. The card keeps its place in the page. */
  erase() {
    this.signature = null;
    this.#clear();
    this.cursor.hidden = true;
    this.setState("waiting");
  }

  #clear() {
    this.lines = [];
    this.axis = null;
    erase(this.box);
  }
}

/**
 * @param {{label: string, color?: string, dash?: string}} entry
 * @param {string} prefix left out of the label
 */
function legendItem({ label, color = "currentColor", dash = "solid" }, prefix) {
  const swatch = element("span", { class: `swatch ${dash}`, style: { "--color": color } });
  return element("li", { title: label }, swatch, element("span", { text: label.startsWith(prefix) ? label.slice(prefix.length) : label }));
}
