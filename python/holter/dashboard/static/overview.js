// The first screen, never empty: how each run is getting on, pinned charts, and what the server thinks one wants to see first.

import { fetchOverview } from "./api.js";
import { Card } from "./card.js";
import { forget, watch } from "./charts.js";
import { element, fill } from "./dom.js";
import { chartOf } from "./families.js";
import { count, counted, duration, value } from "./format.js";
import { colourOf } from "./grouping.js";
import { model } from "./model.js";
import { numColumns } from "./sections.js";
import { store } from "./state.js";

const MOST_TILES = 8;

let parts = null;
let proposals = [];
let asked = "";
let answering = Promise.resolve();
const cards = new Map();
const tiles = new Map();

export function setUpOverview(nodes) {
  parts = nodes;
  new ResizeObserver(layOut).observe(parts.charts.parentElement);
  store.follow(["columns"], layOut);
  store.follow(["pin"], renderCharts);
  store.follow(["mode", "band", "group", "pin"], () => cards.forEach((card) => card.update()));
  setInterval(updateTiles, 1000);
}

/** Draws the tiles now, and the charts once the server has said which; settles when it has. */
export function renderOverview() {
  renderTiles();
  renderCharts();
  const ids = model.selected.map((run) => run.id);
  // The number of series is known before their names: the charts need not wait for these.
  const wanted = JSON.stringify([ids, model.selected.map((run) => run.series)]);
  if (wanted !== asked) answering = ask(ids, wanted);
  return answering;
}

async function ask(ids, wanted) {
  asked = wanted;
  try {
    const answer = ids.length ? await fetchOverview(ids) : [];
    if (asked === wanted) proposals = answer;
  } catch {
    asked = ""; // What happened to the run is said by the list of runs; the next change asks again.
  }
  renderCharts();
}

/** Pinned charts first, then the server's. */
export function overviewSpecs() {
  return [...pinnedSpecs(), ...proposals.map((proposal) => [specOf(proposal), proposal])];
}

export function overviewCards() {
  return [...cards.values()];
}

function pinnedSpecs() {
  return store.now.pin.map((key) => [chartOf(key, model.names), null]).filter(([spec]) => spec);
}

function specOf({ key, title, names, kind }) {
  const isName = title.includes("/");
  return { key, title: isName ? title : title.charAt(0).toUpperCase() + title.slice(1), names, section: "", isFamily: kind === "band" && names.length > 1 };
}

function renderCharts() {
  const wanted = new Map(overviewSpecs().map(([spec, proposal]) => [`${proposal ? "server" : "pin"}:${spec.key}`, [spec, proposal]]));
  for (const [id, card] of cards) {
    if (wanted.get(id)?.[0].names.length === card.spec.names.length) continue;
    forget(card);
    cards.delete(id);
  }
  const nodes = [];
  for (const [id, [spec, proposal]] of wanted) {
    const isNew = !cards.has(id);
    if (isNew) cards.set(id, new Card(spec, proposal));
    nodes.push(cards.get(id).element);
  }
  const { children } = parts.charts;
  if (nodes.length !== children.length || nodes.some((node, index) => node !== children[index])) fill(parts.charts, ...nodes);
  for (const card of cards.values()) watch(card);
  layOut();
}

function layOut() {
  const columns = numColumns(parts.charts.clientWidth);
  parts.charts.style.setProperty("--columns", columns);
}

function renderTiles() {
  const runs = model.selected.slice(0, MOST_TILES);
  tiles.clear();
  for (const run of runs) tiles.set(run.id, new Tile(run));
  const rest = model.selected.length - runs.length;
  const more = rest > 0 ? element("p", { class: "quiet", text: `and ${counted(rest, "more run")}, in the list of runs` }) : null;
  fill(parts.tiles, ...[...tiles.values()].map((tile) => tile.element), more);
  updateTiles();
}

export function updateTiles() {
  for (const [id, tile] of tiles) {
    const run = model.byId(id);
    if (run) tile.update(run);
  }
}

/** How one run is getting on: status, progress, speed, the rest of its time, and whether its recorder is well. */
class Tile {
  constructor(run) {
    this.bar = element("div", { class: "bar" });
    this.track = element("div", { class: "progress", role: "progressbar", "aria-label": `progress of ${run.name}` }, this.bar);
    this.status = element("span", { class: "status" });
    this.progress = element("p", { class: "big" });
    this.facts = element("p", { class: "facts" });
    this.health = element("p", { class: "health" });
    const name = element("button", { type: "button", class: "name", text: run.name, title: `details of ${run.id}` });
    name.addEventListener("click", () => store.set({ tab: "details", of: run.id }));
    const head = element("h3", {}, element("span", { class: "swatch" }), name, this.status);
    const attributes = { class: "tile", "data-run": run.id, style: { "--colour": colourOf(run.color) }, "aria-label": `run ${run.name}` };
    this.element = element("article", attributes, head, this.progress, this.track, this.facts, this.health);
  }

  update(run) {
    this.element.dataset.status = run.status;
    write(this.status, run.status);
    const of = run.total_steps ? ` of ${count(run.total_steps)}` : "";
    write(this.progress, run.last_step === null ? "no step yet" : `step ${count(run.last_step)}${of}`);
    this.track.hidden = !run.total_steps;
    if (run.total_steps) {
      const share = Math.min(1, Math.max(0, ((run.last_step ?? -1) + 1) / run.total_steps));
      this.bar.style.width = `${share * 100}%`;
      this.track.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    }
    write(this.facts, paceOf(run));
    const trouble = troubleOf(run);
    write(this.health, trouble || `recorder well: ${counted(run.points, "point")}, none dropped`);
    this.health.classList.toggle("wrong", trouble !== "");
  }
}

function paceOf(run) {
  const words = [];
  if (run.steps_per_second) words.push(`${value(Number(run.steps_per_second.toPrecision(3)))} steps/s`);
  if (run.is_live && run.eta_seconds !== null) words.push(`${duration(run.eta_seconds)} left`);
  const age = model.age(run);
  if (run.is_live && age !== null) words.push(`seen ${duration(age)} ago`);
  if (!run.is_live && run.finished) words.push(`took ${duration((new Date(run.finished) - new Date(run.created)) / 1000)}`);
  return words.join(" · ");
}

function troubleOf(run) {
  const words = [];
  if (run.dropped) words.push(`${counted(run.dropped, "point")} dropped`);
  if (run.nonfinite_series) words.push(`NaN/Inf in ${count(run.nonfinite_series)} of ${count(run.series)} series`);
  if (run.attempts?.length > 1) words.push(counted(run.attempts.length, "attempt"));
  return words.join(" · ");
}

/** Writes a text only if it is another one: nothing is read out twice. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
