// @ts-check
// Compares runs at the steps that the user chooses, in a table that can be copied.

import { fetchComparison, messageOf } from "./api.js";
import { byId, copy, element, fill } from "./dom.js";
import { cssColor } from "./grouping.js";
import { model } from "./model.js";
import { sortedColumns } from "./sorting.js";
import { store } from "./state.js";

/** @typedef {import("./api.js").ComparisonRow} ComparisonRow */

const steps = byId("compare-at", HTMLInputElement);
const metrics = byId("compare-metric", HTMLInputElement);
const table = byId("compare-table", HTMLTableElement);
const message = byId("compare-message");
/** @type {{format: "markdown" | "latex" | "csv", button: HTMLButtonElement}[]} */
const copies = [
  { format: "markdown", button: byId("copy-markdown", HTMLButtonElement) },
  { format: "latex", button: byId("copy-latex", HTMLButtonElement) },
  { format: "csv", button: byId("copy-csv", HTMLButtonElement) },
];

/** @type {import("./api.js").Comparison | null} */
let comparison = null;
let requested = "";
/** @type {{label: string | null, isDescending: boolean}} */
let order = { label: null, isDescending: false };

export function setUpCompare() {
  byId("compare-form").addEventListener("submit", (event) => {
    event.preventDefault();
    store.set({ at: steps.value.trim(), metric: metrics.value.trim() });
  });
  for (const { format, button } of copies) {
    button.addEventListener("click", () => comparison && copy(comparison[format], (button.textContent ?? "").trim()));
  }
  const update = () => {
    steps.value = store.now.at;
    metrics.value = store.now.metric;
    void renderCompare();
  };
  store.onChange(["at", "metric"], update);
  model.addEventListener("runs", renderCompare);
  update();
}

/** Fetches and shows the comparison of the selected runs, if the tab is open. */
export async function renderCompare() {
  if (store.now.tab !== "compare" || !model.isLoaded) return;
  // Oldest first: the first run is the baseline.
  const groups = [...model.groups].reverse().map(({ label, runs }) => ({ label, runs: runs.map((run) => run.id) }));
  if (!groups.length) return showMessage("Select one or more runs to compare them.");
  const at = words(store.now.at).map(Number).filter(Number.isSafeInteger);
  const content = { groups, at, metrics: words(store.now.metric) };
  const wanted = JSON.stringify([content, model.selected.map((run) => run.revision)]);
  if (wanted === requested) return;
  requested = wanted;
  table.setAttribute("aria-busy", "true");
  try {
    const answer = await fetchComparison(content);
    if (wanted !== requested) return;
    comparison = answer;
    message.textContent = answer.notes.join(" ");
    draw();
  } catch (error) {
    if (wanted === requested) showMessage(messageOf(error));
  } finally {
    if (wanted === requested || requested === "") table.setAttribute("aria-busy", "false");
  }
}

/** @param {string} text */
function showMessage(text) {
  requested = "";
  comparison = null;
  message.textContent = text;
  fill(table);
  updateCopies();
}

/** @param {string} text */
function words(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}

function updateCopies() {
  for (const { button } of copies) button.disabled = comparison === null;
}

/** Draws a column for each run and a row for each number. A click on the label of a row sorts the columns by it. */
function draw() {
  updateCopies();
  if (!comparison) return;
  const columns = sortedColumns(comparison, order);
  const { runs } = comparison;
  const head = element("tr", {}, element("th", { scope: "col", text: "" }), ...columns.map((run) => runHead(runs[run])));
  const rows = comparison.rows.map((row) => {
    const name = element("th", { scope: "row", title: row.help, "aria-sort": sortDirection(row) }, sortButton(row));
    return element("tr", {}, name, ...columns.map((run) => cell(row, run, runs.length)));
  });
  fill(table, element("thead", {}, head), element("tbody", {}, ...rows));
}

/** @param {string} label */
function runHead(label) {
  const group = model.groups.find((candidate) => candidate.label === label);
  const swatch = element("span", { class: "swatch", style: { "--color": cssColor(group?.color) } });
  return element("th", { scope: "col" }, swatch, label);
}

/** @param {ComparisonRow} row */
function sortButton({ label }) {
  const click = () => {
    const isSame = order.label === label;
    order = { label: isSame && order.isDescending ? null : label, isDescending: isSame && !order.isDescending };
    draw();
  };
  return element("button", { type: "button", class: "sort", text: label, title: `sort the runs by ${label}`, on: { click } });
}

/** @param {ComparisonRow} row */
function sortDirection({ label }) {
  if (order.label !== label) return null;
  return order.isDescending ? "descending" : "ascending";
}

/**
 * @param {ComparisonRow} row
 * @param {number} run
 * @param {number} numRuns
 */
function cell(row, run, numRuns) {
  const { text, note } = row.cells[run];
  const isBest = numRuns > 1 && row.best.includes(run);
  const best = isBest ? element("span", { class: "visually-hidden", text: " (best)" }) : null;
  const small = note ? element("small", { text: note }) : null;
  return element("td", { class: isBest ? "best" : null }, element("span", { class: "text", text }), best, small);
}
