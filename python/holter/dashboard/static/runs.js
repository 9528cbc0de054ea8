// @ts-check
// The list of runs: which are shown, in which color, their status, and how they are grouped.

import { toggled } from "./address.js";
import { byId, element, fill, iconButton } from "./dom.js";
import { count, counted } from "./format.js";
import { cssColor } from "./grouping.js";
import { model } from "./model.js";
import { compile } from "./search.js";
import { store } from "./state.js";

/** @typedef {import("./api.js").Run} Run */

const MAX_KEYS = 200;

const filter = byId("run-filter", HTMLInputElement);
const list = byId("run-list");
const groupSelect = byId("run-group", HTMLSelectElement);
const patternInput = byId("run-pattern", HTMLInputElement);

export function setUpRuns() {
  filter.addEventListener("input", renderList);
  groupSelect.addEventListener("change", chooseGrouping);
  patternInput.addEventListener("change", chooseGrouping);
  byId("run-newest").addEventListener("click", () => store.set({ run: null }));
  byId("run-none").addEventListener("click", () => store.set({ run: [] }));
  byId("run-all").addEventListener("click", () => store.set({ run: listedRuns().map((run) => run.id) }));
  list.addEventListener("change", ({ target }) => {
    const ids = model.selected.map((run) => run.id);
    if (target instanceof HTMLInputElement) store.set({ run: toggled(ids, target.value) });
  });
  store.onChange(["run"], renderList);
  store.onChange(["group"], renderRuns);
}

export function renderRuns() {
  renderList();
  renderProblems();
  renderGrouping();
}

function listedRuns() {
  const { matches } = compile(filter.value);
  return model.runs.filter((run) => matches(`${run.name} ${run.id}`) || run.tags.some(matches));
}

function renderList() {
  const { error } = compile(filter.value);
  filter.setAttribute("aria-invalid", String(error !== null));
  filter.title = error ?? "";
  const selected = new Set(model.selected.map((run) => run.id));
  byId("run-count").textContent = `${count(selected.size)} of ${counted(model.runs.length, "run")}`;
  const { activeElement } = document;
  const focused = activeElement instanceof HTMLInputElement && list.contains(activeElement) ? activeElement.value : null;
  fill(list, ...listedRuns().map((run) => row(run, selected.has(run.id))));
  if (focused === null) return;
  /** @type {HTMLElement | null} */ (list.querySelector(`input[value="${CSS.escape(focused)}"]`))?.focus();
}

/**
 * @param {Run} run
 * @param {boolean} isSelected
 */
function row(run, isSelected) {
  const box = element("input", { type: "checkbox", value: run.id, checked: isSelected, "aria-label": `show ${run.name}` });
  const name = element("span", { class: "name", text: run.name });
  const nonfinite = run.nonfinite_series;
  const alarmTitle = `${counted(nonfinite, "series", "series")} with NaN or infinite values`;
  const alarm = nonfinite ? element("span", { class: "alarm", text: count(nonfinite), title: alarmTitle }) : null;
  const facts = element("span", { class: "facts", text: `step ${count(run.last_step)} · ${count(run.series)} series` });
  const status = element("span", { class: "visually-hidden", text: run.status });
  const dot = element("span", { class: "dot", title: run.status });
  const label = element("label", { title: run.id }, box, element("span", { class: "swatch" }), name, alarm, dot, status, facts);
  const only = element("button", { type: "button", class: "only", text: "only", "aria-label": `show only ${run.name}` });
  only.addEventListener("click", () => store.set({ run: [run.id] }));
  const details = iconButton("details", `details of ${run.name}`, () => store.set({ tab: "details", details: run.id }));
  const attributes = { "data-run": run.id, "data-status": run.status, style: { "--color": cssColor(run.color) } };
  return element("li", attributes, label, only, details);
}

function renderProblems() {
  const node = byId("problems");
  const lines = model.problems.map(({ path, reason }) => element("li", {}, element("b", { text: path }), ` ${reason}`));
  node.hidden = lines.length === 0;
  const summary = element("summary", { text: `${counted(lines.length, "run")} could not be read` });
  fill(node, summary, element("ul", {}, ...lines));
}

function renderGrouping() {
  const { group } = store.now;
  const isPattern = group.startsWith("name:");
  const keys = model.differingKeys.slice(0, MAX_KEYS);
  if (group.startsWith("config:") && !keys.includes(group.slice(7))) keys.push(group.slice(7));
  fill(
    groupSelect,
    element("option", { value: "", text: "none" }),
    element("option", { value: "name:", text: "by name pattern…" }),
    ...keys.map((key) => element("option", { value: `config:${key}`, text: `by ${key}` })),
  );
  groupSelect.value = isPattern ? "name:" : group;
  patternInput.hidden = !isPattern;
  patternInput.value = isPattern ? group.slice(5) : "";
}

function chooseGrouping() {
  const { value } = groupSelect;
  store.set({ group: value === "name:" ? `name:${patternInput.value || "seed=*"}` : value });
}
