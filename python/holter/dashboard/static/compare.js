// Run against run: the numbers that a note would have, at the steps that the user chooses, ready to be pasted.

import { fetchComparison } from "./api.js";
import { copy, element, fill } from "./dom.js";
import { colourOf } from "./grouping.js";
import { model } from "./model.js";
import { store } from "./state.js";

let parts = null;
let shown = null;
let asked = "";
let sorting = { label: null, isDown: false };

export function setUpCompare(nodes) {
  parts = nodes;
  parts.form.addEventListener("submit", (event) => {
    event.preventDefault();
    store.set({ at: parts.at.value.trim(), metric: parts.metric.value.trim() });
  });
  for (const [format, button] of Object.entries(parts.copies)) {
    button.addEventListener("click", () => shown && copy(shown[format], button.textContent.trim()));
  }
  const follow = () => {
    parts.at.value = store.now.at;
    parts.metric.value = store.now.metric;
    void renderCompare();
  };
  store.follow(["at", "metric"], follow);
  model.addEventListener("runs", renderCompare);
  follow();
}

/** Fetches and shows the comparison of the selected runs, if the tab is open. */
export async function renderCompare() {
  if (store.now.tab !== "compare") return;
  if (!model.isLoaded) return;
  // The oldest first: it is what the others are measured by.
  const groups = model.groups.toReversed().map(({ label, runs }) => ({ label, runs: runs.map((run) => run.id) }));
  if (!groups.length) return say("Select one or more runs to compare them.");
  const content = { groups, at: numbers(store.now.at), metrics: words(store.now.metric) };
  const wanted = JSON.stringify([content, model.selected.map((run) => run.revision)]);
  if (wanted === asked) return;
  asked = wanted;
  parts.table.setAttribute("aria-busy", "true");
  try {
    const answer = await fetchComparison(content);
    if (wanted !== asked) return;
    shown = answer;
    parts.message.textContent = answer.notes.join(" ");
    draw();
  } catch (error) {
    if (wanted === asked) say(error.message);
  } finally {
    parts.table.setAttribute("aria-busy", "false");
  }
}

function say(message) {
  asked = "";
  shown = null;
  parts.message.textContent = message;
  fill(parts.table);
  enableCopies();
}

function numbers(text) {
  return words(text).map(Number).filter(Number.isSafeInteger);
}

function words(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}

function enableCopies() {
  for (const button of Object.values(parts.copies)) button.disabled = shown === null;
}

/** A column for each run, a row for each number; a click on a row's name sorts the runs by it. */
function draw() {
  enableCopies();
  const order = sortedRuns();
  const head = element("tr", {}, element("th", { scope: "col", text: "" }), ...order.map(runHead));
  const rows = shown.rows.map((row) => {
    const name = element("th", { scope: "row", title: row.help, "aria-sort": sortingOf(row) }, sortButton(row));
    return element("tr", {}, name, ...order.map((run) => cell(row, run)));
  });
  fill(parts.table, element("thead", {}, head), element("tbody", {}, ...rows));
}

function runHead(index) {
  const label = shown.runs[index];
  const group = model.groups.find((one) => one.label === label);
  const swatch = element("span", { class: "swatch", style: { "--colour": colourOf(group?.colour) } });
  return element("th", { scope: "col" }, swatch, label);
}

function sortButton(row) {
  const button = element("button", { type: "button", class: "sort", text: row.label, title: `sort the runs by ${row.label}` });
  button.addEventListener("click", () => {
    const isSame = sorting.label === row.label;
    sorting = { label: isSame && sorting.isDown ? null : row.label, isDown: isSame && !sorting.isDown };
    draw();
  });
  return button;
}

function sortingOf(row) {
  if (sorting.label !== row.label) return null;
  return sorting.isDown ? "descending" : "ascending";
}

function sortedRuns() {
  const order = shown.runs.map((_, index) => index);
  const row = shown.rows.find(({ label }) => label === sorting.label);
  if (!row) return order;
  const size = ({ value, text }) => (typeof value === "number" ? value : Number.NaN) || Number.parseFloat(text);
  const sign = sorting.isDown ? -1 : 1;
  return order.sort((left, right) => {
    const [one, other] = [size(row.cells[left]), size(row.cells[right])];
    if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
    return sign * (one - other);
  });
}

function cell(row, run) {
  const { text, note } = row.cells[run];
  const isBest = row.best.includes(run) && shown.runs.length > 1;
  const content = element("span", { class: "text", text });
  const best = isBest ? element("span", { class: "visually-hidden", text: " (best)" }) : null;
  return element("td", { class: isBest ? "best" : null }, content, best, note ? element("small", { text: note }) : null);
}
