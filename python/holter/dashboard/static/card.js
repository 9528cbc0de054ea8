// One chart in its frame: title, the ways in which a family is drawn, legend, plot, note. What it shows follows from the
// state; what only this card has (its own zoom, log scale, run of a heatmap) goes with the page.

import * as charts from "./charts.js";
import { element, fill, iconButton, segmented } from "./dom.js";
import { count } from "./format.js";
import { followPointer } from "./crosshair.js";
import { linesOf, signsOf } from "./figure.js";
import { model } from "./model.js";
import { openMenu } from "./menu.js";
import { keyed, store, toggled } from "./state.js";
import { followDrag } from "./zoom.js";

/** How a family may be drawn: value, text, explanation. */
export const MODES = [
  ["each", "each", "one line for each series"],
  ["std", "± std", "mean ± standard deviation"],
  ["minmax", "min–max", "mean, smallest and largest"],
  ["quantile", "10–90 %", "median and the 10 % and 90 % quantiles"],
  ["heatmap", "heatmap", "a row for each series, colours for values"],
  ["latest", "latest", "the latest value of each series"],
];
const BAND_FROM = 4;
const LEGEND_LIMIT = 8;

export class Card {
  lines = [];
  signs = [];
  signature = null;
  zoom = null; // [start, stop] of this card alone
  log = null; // its own log scale
  heatmapRun = null;
  proposal = null;

  /**
   * @param spec {key, title, names, isFamily, section} as `families.js` makes it
   * @param proposal what the server proposed for an overview's chart; null for a chart of the sections
   */
  constructor(spec, proposal = null) {
    this.spec = spec;
    this.proposal = proposal;
    this.box = element("div", { class: "box" });
    this.cursor = element("div", { class: "cursor", hidden: true });
    this.selection = element("div", { class: "selection", hidden: true });
    this.plot = element("div", { class: "plot", role: "img", "aria-label": `chart of ${spec.key}` }, this.box, this.cursor, this.selection);
    this.note = element("p", { class: "note" });
    this.legend = element("ul", { class: "legend" });
    this.modes = element("div", { class: "modes" });
    this.element = this.#frame();
    this.element.card = this;
    this.setState("waiting");
    followDrag(this);
    followPointer(this);
    this.update();
  }

  #frame() {
    const { key, title, names, section } = this.spec;
    this.title = element("button", { type: "button", class: "title", title: key, text: title, "aria-label": `${key}: full screen` });
    this.title.addEventListener("click", () => this.element.dispatchEvent(new CustomEvent("enlarge", { bubbles: true })));
    const isOfMany = names.length > 1 && this.proposal?.kind !== "speed";
    this.size = isOfMany ? element("span", { class: "badge", text: count(names.length), title: "series" }) : null;
    this.alarm = element("span", { class: "alarm" });
    this.pin = iconButton("pin", `pin ${key}`, () => store.set({ pin: toggled(store.now.pin, key) }));
    this.more = iconButton("more", `more for ${key}`, () => openMenu(this), { "aria-haspopup": "menu" });
    const head = element("h3", {}, this.title, this.size, this.alarm);
    return element(
      "article",
      { class: "card", "data-key": key, "data-section": section, "aria-label": `chart ${key}` },
      element("header", {}, head, this.proposal ? null : this.pin, this.more),
      this.modes,
      this.legend,
      this.plot,
      this.note,
    );
  }

  /** `each`, `std`, `minmax`, `quantile`, `heatmap` or `latest`. */
  get mode() {
    const { band, mode, group } = store.now;
    const chosen = keyed(mode);
    const own = (chosen.get(this.spec.key) ?? chosen.get(`@${this.spec.section}`))?.[0];
    if (this.spec.isFamily) return own ?? (band || (this.spec.names.length >= BAND_FROM ? "std" : "each"));
    if (!group) return "each";
    const bands = ["std", "minmax", "quantile"];
    return own ?? (band === "each" ? band : bands.includes(band) ? band : "std");
  }

  get kind() {
    if (this.proposal?.kind === "speed" || (this.proposal && !this.spec.isFamily && !store.now.group)) return this.proposal.kind;
    return { each: "line", heatmap: "heatmap", latest: "latest" }[this.mode] ?? "band";
  }

  /** Ids of the runs that the chart shows. */
  runs() {
    return this.#groups().flatMap((group) => group.runs);
  }

  /** What the server is asked for; null if there is nothing to ask. */
  request() {
    const { key, names } = this.spec;
    const groups = this.#groups();
    if (!groups.length) return null;
    const wanted = { key, kind: this.kind, names, groups };
    if (this.kind === "band") wanted.band = this.mode === "each" ? "std" : this.mode;
    const thresholds = keyed(store.now.line).get(key);
    if (thresholds) wanted.thresholds = thresholds.map((y) => ({ y: Number(y), label: "" }));
    if (store.now.change.includes(key)) wanted.change_points = true;
    return wanted;
  }

  #groups() {
    const groups = model.groups.map(({ label, colour, runs }) => ({ label, color: colour, runs: runs.map((run) => run.id) }));
    if (this.kind !== "heatmap") return groups;
    const chosen = groups.find((group) => group.runs.includes(this.heatmapRun)) ?? groups[0];
    return chosen ? [chosen] : [];
  }

  /** What this card sees otherwise than the others. */
  ownView() {
    const view = {};
    if (this.zoom) Object.assign(view, { start: this.zoom[0], stop: this.zoom[1] });
    if (this.log !== null) view.log_y = this.log;
    return view;
  }

  plotWidth() {
    return this.plot.clientWidth;
  }

  /** Follows the state: the pressed buttons, the pin, the alarm. */
  update() {
    const { key, names, isFamily } = this.spec;
    const isPinned = store.now.pin.includes(key);
    this.pin.setAttribute("aria-pressed", String(isPinned));
    this.element.dataset.kind = this.kind;
    if (this.kind === "speed") return; // It shows how fast the series came, not their values.
    const bad = names.reduce((sum, name) => sum + (model.names.get(name)?.nonfinite ?? 0), 0);
    this.alarm.textContent = bad ? `${count(bad)} NaN/Inf` : "";
    this.alarm.title = bad ? "values that are NaN or infinite" : "";
    if (isFamily) fill(this.modes, this.#modeButtons());
  }

  #modeButtons() {
    const choose = (mode) => {
      const others = store.now.mode.filter((word) => !word.endsWith(`:${this.spec.key}`) || !keyed([word]).has(this.spec.key));
      store.set({ mode: [...others, `${mode}:${this.spec.key}`] });
    };
    return segmented(`how ${this.spec.key} is drawn`, MODES, this.mode, choose);
  }

  /** A heatmap shows one run: which, if there are several. */
  #heatmapRuns() {
    if (this.kind !== "heatmap" || model.groups.length < 2) return null;
    const select = element("select", { "aria-label": `run of the heatmap ${this.spec.key}` });
    for (const { label, runs } of model.groups) select.append(element("option", { value: runs[0].id, text: label }));
    select.value = this.#groups()[0].runs[0];
    select.addEventListener("change", () => {
      this.heatmapRun = select.value;
      charts.request(this);
    });
    return select;
  }

  setState(state) {
    this.element.dataset.state = state;
    this.plot.setAttribute("aria-busy", String(state === "loading"));
  }

  async draw(answer) {
    const data = await charts.drawInto(this.box, answer, this.kind);
    this.lines = linesOf(data);
    this.signs = signsOf(data);
    this.element.dataset.width = answer.width;
    this.element.dataset.kind = this.kind;
    this.element.dataset.draws = Number(this.element.dataset.draws ?? 0) + 1;
    this.noteText = answer.note ?? "";
    if (this.cursor.hidden) this.note.textContent = this.noteText; // else it has the values at the cursor
    this.note.classList.remove("wrong");
    this.#fillLegend();
    const shown = this.kind === "line" || this.kind === "band" ? `, ${this.lines.length} lines` : "";
    this.plot.setAttribute("aria-label", `${this.kind} chart of ${this.spec.key}${shown}; its menu has the values as a table`);
    this.setState("drawn");
    this.onDrawn?.();
  }

  /** Runs by colour; several series of several runs also by their dashes. */
  #fillLegend() {
    const names = new Map(this.lines.map((line) => [line.name, line]));
    const runs = new Map(this.lines.map((line) => [line.run, line]));
    const isCrossed = names.size > 1 && runs.size > 1;
    const shown = isCrossed
      ? [...[...names].map(([label, { dash }]) => ({ label, dash })), ...[...runs].map(([label, { colour }]) => ({ label, colour }))]
      : this.lines;
    const prefix = this.spec.section ? `${this.spec.section}/` : "";
    const items = shown.slice(0, LEGEND_LIMIT).map((line) => legendItem(line, prefix));
    const choice = this.#heatmapRuns();
    if (choice) items.push(element("li", {}, choice));
    if (shown.length > items.length) items.push(element("li", { text: `+ ${shown.length - items.length}` }));
    fill(this.legend, ...items);
  }

  fail(message) {
    charts.erase(this.box);
    this.lines = [];
    this.note.textContent = message;
    this.note.classList.add("wrong");
    this.plot.setAttribute("aria-label", message);
    fill(this.legend);
    this.setState("failed");
  }

  /** Forgets the drawing; the frame keeps its place. */
  purge() {
    this.signature = null;
    this.lines = [];
    charts.erase(this.box);
    this.cursor.hidden = true;
    this.setState("waiting");
  }

  /** Plotly's x axis once drawn, which maps between pixels and values; null where there is none of numbers or times. */
  get axis() {
    const axis = this.box._fullLayout?.xaxis;
    return axis && axis.type !== "category" ? axis : null;
  }
}

function legendItem({ label, colour = "currentColor", dash = "solid" }, prefix) {
  const swatch = element("span", { class: `swatch ${dash}`, style: { "--colour": colour } });
  return element("li", { title: label }, swatch, element("span", { text: label.startsWith(prefix) ? label.slice(prefix.length) : label }));
}
