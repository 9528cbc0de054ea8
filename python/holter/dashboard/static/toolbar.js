// The settings that all charts share: search, smoothing, scales, bands, the x axis and the window of steps.

import { debounced, element, fill } from "./dom.js";
import { count } from "./format.js";
import { model } from "./model.js";
import { store } from "./state.js";
import { showAll } from "./zoom.js";

const MAX_HALF_LIFE_EXPONENT = 4; // of ten: 10,000 steps
const SLIDER_STEPS = 100;
const MAX_METRICS = 500; // offered as x axis

/** What was last taken from the search box: whatever else is in the state came from elsewhere, and goes into the box. */
let typed = "";

/** `node` finds the page's elements by id. */
export function setUpToolbar(node) {
  const search = node("search");
  const find = () => {
    typed = search.value;
    store.set({ q: typed }, { keep: true });
  };
  search.addEventListener("input", debounced(find, 120));
  const smoothing = node("smoothing");
  const smooth = debounced(() => store.set({ smooth: halfLife(Number(smoothing.value)) }, { keep: true }), 60);
  smoothing.addEventListener("input", () => {
    tellSmoothing(node, halfLife(Number(smoothing.value)));
    smooth();
  });
  node("log").addEventListener("click", () => store.set({ log: !store.now.log }, { keep: true }));
  node("trim").addEventListener("click", () => store.set({ trim: !store.now.trim }, { keep: true }));
  node("marks").addEventListener("click", toggleMarks);
  node("band").addEventListener("change", ({ target }) => store.set({ band: target.value, mode: [] }));
  node("x-axis").addEventListener("change", ({ target }) => chooseAxis(node, target));
  node("x-metric").addEventListener("change", ({ target }) => target.value && store.set({ x: `metric:${target.value}` }));
  node("columns").addEventListener("change", ({ target }) => store.set({ columns: Number(target.value) }, { keep: true }));
  node("show-all").addEventListener("click", showAll);
  store.addEventListener("change", () => follow(node));
  model.addEventListener("names", () => offerMetrics(node("metric-names")));
  follow(node);
}

function follow(node) {
  const { q, smooth, log, trim, marks, band, x, start, stop, columns } = store.now;
  if (q !== typed) node("search").value = typed = q;
  if (halfLife(Number(node("smoothing").value)) !== smooth) node("smoothing").value = sliderPlace(smooth);
  tellSmoothing(node, smooth);
  node("log").setAttribute("aria-pressed", String(log));
  node("trim").setAttribute("aria-pressed", String(trim));
  node("marks").setAttribute("aria-pressed", String(marks === "on"));
  node("band").value = band;
  const isMetric = x.startsWith("metric:");
  node("x-axis").value = isMetric ? "metric" : x;
  node("x-metric").hidden = !isMetric;
  if (isMetric) node("x-metric").value = x.slice("metric:".length);
  node("columns").value = String(columns);
  node("zoom").hidden = start === null && stop === null;
  node("zoom-text").textContent = `steps ${start === null ? "first" : count(start)} to ${stop === null ? "last" : count(stop - 1)}`;
}

export function toggleMarks() {
  store.set({ marks: store.now.marks === "on" ? "off" : "on" }, { keep: true });
}

/** The slider goes by equal ratios, since half-lives do: 0, then 1 to 10,000 steps. */
function halfLife(place) {
  return place <= 0 ? 0 : Number((10 ** ((place / SLIDER_STEPS) * MAX_HALF_LIFE_EXPONENT)).toPrecision(2));
}

function sliderPlace(steps) {
  return steps <= 0 ? 0 : Math.round((Math.log10(steps) / MAX_HALF_LIFE_EXPONENT) * SLIDER_STEPS);
}

function tellSmoothing(node, steps) {
  const text = steps ? count(steps) : "off";
  node("smoothing-text").textContent = text;
  node("smoothing").setAttribute("aria-valuetext", steps ? `half-life of ${text} steps` : "off");
}

function chooseAxis(node, { value }) {
  if (value !== "metric") return store.set({ x: value });
  node("x-metric").hidden = false;
  node("x-metric").focus();
}

function offerMetrics(list) {
  fill(list, ...[...model.names.keys()].slice(0, MAX_METRICS).map((name) => element("option", { value: name })));
}
