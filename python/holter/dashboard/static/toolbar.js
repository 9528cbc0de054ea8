// @ts-check
// The settings that all charts share: search, smoothing, scales, bands, the x axis and the zoom window.

import { byId, debounced, element, fill } from "./dom.js";
import { count } from "./format.js";
import { model } from "./model.js";
import { halfLife, sliderPosition } from "./smoothing.js";
import { store, toggleMarks } from "./state.js";
import { showAllSteps, zoomBack } from "./zoom.js";

const SEARCH_MILLIS = 120;
const SMOOTHING_MILLIS = 60;
const MAX_SUGGESTIONS = 500;

const search = byId("search", HTMLInputElement);
const smoothing = byId("smoothing", HTMLInputElement);
const band = byId("band", HTMLSelectElement);
const xAxis = byId("x-axis", HTMLSelectElement);
const xMetric = byId("x-metric", HTMLInputElement);
const columns = byId("columns", HTMLSelectElement);

/** The last query from the search box. A different one in the view came from the URL and is copied into the box. */
let typed = "";

export function setUpToolbar() {
  const find = debounced(() => {
    typed = search.value;
    store.set({ q: typed }, { replace: true });
  }, SEARCH_MILLIS);
  search.addEventListener("input", find);
  const smooth = debounced(() => store.set({ smooth: halfLife(Number(smoothing.value)) }, { replace: true }), SMOOTHING_MILLIS);
  smoothing.addEventListener("input", () => {
    showSmoothing(halfLife(Number(smoothing.value)));
    smooth();
  });
  byId("log").addEventListener("click", () => store.set({ log: !store.now.log }, { replace: true }));
  byId("trim").addEventListener("click", () => store.set({ trim: !store.now.trim }, { replace: true }));
  byId("marks").addEventListener("click", toggleMarks);
  band.addEventListener("change", () => store.set({ band: band.value, mode: [] }));
  xAxis.addEventListener("change", chooseAxis);
  xMetric.addEventListener("change", () => xMetric.value && store.set({ x: `metric:${xMetric.value}` }));
  columns.addEventListener("change", () => store.set({ columns: Number(columns.value) }, { replace: true }));
  byId("zoom-back").addEventListener("click", () => zoomBack());
  byId("show-all").addEventListener("click", showAllSteps);
  store.onChange(null, update);
  model.addEventListener("names", suggestMetrics);
  update();
}

function update() {
  const { q, smooth, log, trim, marks, x, start, stop } = store.now;
  if (q !== typed) search.value = typed = q;
  if (halfLife(Number(smoothing.value)) !== smooth) smoothing.value = String(sliderPosition(smooth));
  showSmoothing(smooth);
  byId("log").setAttribute("aria-pressed", String(log));
  byId("trim").setAttribute("aria-pressed", String(trim));
  byId("marks").setAttribute("aria-pressed", String(marks === "on"));
  band.value = store.now.band;
  const isMetric = x.startsWith("metric:");
  xAxis.value = isMetric ? "metric" : x;
  xMetric.hidden = !isMetric;
  if (isMetric) xMetric.value = x.slice("metric:".length);
  columns.value = String(store.now.columns);
  byId("zoom").hidden = start === null && stop === null;
  byId("zoom-text").textContent = `steps ${start === null ? "first" : count(start)} to ${stop === null ? "last" : count(stop - 1)}`;
}

/** @param {number} steps */
function showSmoothing(steps) {
  const text = steps ? count(steps) : "off";
  byId("smoothing-text").textContent = text;
  smoothing.setAttribute("aria-valuetext", steps ? `half-life of ${text} steps` : "off");
}

function chooseAxis() {
  if (xAxis.value !== "metric") return store.set({ x: xAxis.value });
  xMetric.hidden = false;
  xMetric.focus();
}

function suggestMetrics() {
  fill(byId("metric-names"), ...[...model.names.keys()].slice(0, MAX_SUGGESTIONS).map((name) => element("option", { value: name })));
}
