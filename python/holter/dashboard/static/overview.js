// @ts-check
// The first screen: a tile for each run, pinned charts, and the charts that the server chose.

import { fetchOverview } from "./api.js";
import { Card } from "./card.js";
import { unwatch, watch } from "./charts.js";
import { byId, element, fill } from "./dom.js";
import { pinnedChart } from "./families.js";
import { counted } from "./format.js";
import { model } from "./model.js";
import { columnsFor } from "./sections.js";
import { store } from "./state.js";
import { Tile } from "./tile.js";

/**
 * @typedef {import("./families.js").ChartSpec} ChartSpec
 * @typedef {{spec: ChartSpec, fixedKind: string | null}} ShownChart
 */

const MAX_TILES = 8;

const tilesNode = byId("tiles");
const chartsNode = byId("overview-charts");

/** @type {import("./api.js").OverviewChart[]} */
let chosenCharts = [];
let requested = "";
let loading = Promise.resolve();
/** @type {Map<string, Card>} */
const cards = new Map();
/** @type {Map<string, Tile>} */
const tiles = new Map();

export function setUpOverview() {
  new ResizeObserver(layOut).observe(byId("overview"));
  store.onChange(["columns"], layOut);
  store.onChange(["pin"], renderCharts);
  store.onChange(["mode", "band", "group", "pin"], () => cards.forEach((card) => card.update()));
  setInterval(updateTiles, 1000);
}

/** Draws the tiles at once, and the charts when the server has chosen them. Resolves after that. */
export function renderOverview() {
  renderTiles();
  renderCharts();
  const ids = model.selected.map((run) => run.id);
  // The numbers of series are known before their names, so the charts need not wait for the names.
  const wanted = JSON.stringify([ids, model.selected.map((run) => run.series)]);
  if (wanted !== requested) loading = load(ids, wanted);
  return loading;
}

/**
 * @param {string[]} ids
 * @param {string} wanted
 */
async function load(ids, wanted) {
  requested = wanted;
  try {
    const charts = ids.length ? await fetchOverview(ids) : [];
    if (requested === wanted) chosenCharts = charts;
  } catch {
    requested = ""; // The list of runs shows what is wrong with a run. The next change tries again.
  }
  renderCharts();
}

/**
 * Returns the pinned charts, then the server's.
 *
 * @returns {ShownChart[]}
 */
export function overviewCharts() {
  const pinned = store.now.pin.flatMap((key) => pinnedChart(key, model.names) ?? []);
  return [
    ...pinned.map((spec) => ({ spec, fixedKind: null })),
    ...chosenCharts.map((chart) => ({ spec: specOf(chart), fixedKind: chart.kind })),
  ];
}

/**
 * @param {import("./api.js").OverviewChart} chart
 * @returns {ChartSpec}
 */
function specOf({ key, title, names, kind }) {
  const isSeriesName = title.includes("/");
  const shownTitle = isSeriesName ? title : title.charAt(0).toUpperCase() + title.slice(1);
  return { key, title: shownTitle, names, section: "", isFamily: kind === "band" && names.length > 1 };
}

function renderCharts() {
  const shown = new Map(overviewCharts().map((chart) => [`${chart.fixedKind === null ? "pin" : "server"}:${chart.spec.key}`, chart]));
  for (const [id, card] of cards) {
    if (shown.get(id)?.spec.names.length === card.spec.names.length) continue;
    unwatch(card);
    cards.delete(id);
  }
  const nodes = [...shown].map(([id, { spec, fixedKind }]) => {
    const existing = cards.get(id);
    existing?.update(); // The counts of nonfinite values arrive after the first charts.
    const card = existing ?? new Card(spec, fixedKind);
    cards.set(id, card);
    return card.element;
  });
  const { children } = chartsNode;
  if (nodes.length !== children.length || nodes.some((node, index) => node !== children[index])) fill(chartsNode, ...nodes);
  for (const card of cards.values()) watch(card);
  layOut();
}

function layOut() {
  chartsNode.style.setProperty("--columns", String(columnsFor(chartsNode.clientWidth)));
}

function renderTiles() {
  const runs = model.selected.slice(0, MAX_TILES);
  tiles.clear();
  for (const run of runs) tiles.set(run.id, new Tile(run));
  const rest = model.selected.length - runs.length;
  const more = rest > 0 ? element("p", { class: "quiet", text: `and ${counted(rest, "more run")} in the list of runs` }) : null;
  fill(tilesNode, ...[...tiles.values()].map((tile) => tile.element), more);
  updateTiles();
}

export function updateTiles() {
  for (const [id, tile] of tiles) {
    const run = model.byId(id);
    if (run) tile.update(run);
  }
}
