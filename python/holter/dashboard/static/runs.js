// The bar of runs: which are drawn, in which colour, how they are doing, and which are drawn as one.

import { element, fill, iconButton } from "./dom.js";
import { count, counted } from "./format.js";
import { colourOf } from "./grouping.js";
import { model } from "./model.js";
import { compile } from "./search.js";
import { store, toggled } from "./state.js";

let parts = null;

/** `nodes` are the parts of the bar in index.html. */
export function setUpRuns(nodes) {
  parts = nodes;
  parts.filter.addEventListener("input", renderList);
  parts.group.addEventListener("change", chooseGrouping);
  parts.pattern.addEventListener("change", chooseGrouping);
  parts.newest.addEventListener("click", () => store.set({ run: null }));
  parts.none.addEventListener("click", () => store.set({ run: [] }));
  parts.all.addEventListener("click", () => store.set({ run: listed().map((run) => run.id) }));
  parts.list.addEventListener("change", ({ target }) => {
    const ids = model.selected.map((run) => run.id);
    store.set({ run: toggled(ids, target.value) });
  });
  store.follow(["run", "of"], renderList);
  store.follow(["group"], renderRuns);
}

export function renderRuns() {
  renderList();
  renderProblems();
  renderGrouping();
}

function listed() {
  const { matches } = compile(parts.filter.value);
  return model.runs.filter((run) => matches(`${run.name} ${run.id}`) || run.tags?.some(matches));
}

function renderList() {
  const { error } = compile(parts.filter.value);
  parts.filter.setAttribute("aria-invalid", String(error !== null));
  parts.filter.title = error ?? "";
  const selected = new Set(model.selected.map((run) => run.id));
  const runs = listed();
  parts.count.textContent = `${count(selected.size)} of ${counted(model.runs.length, "run")}`;
  const focused = document.activeElement?.closest?.("#run-list") ? document.activeElement.value : null;
  fill(parts.list, ...runs.map((run) => row(run, selected.has(run.id))));
  if (focused) parts.list.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
}

function row(run, isSelected) {
  const box = element("input", { type: "checkbox", value: run.id, checked: isSelected, "aria-label": `show ${run.name}` });
  const name = element("span", { class: "name", text: run.name });
  const alarm = run.nonfinite_series
    ? element("span", { class: "alarm", text: count(run.nonfinite_series), title: `${counted(run.nonfinite_series, "series", "series")} with NaN or Inf` })
    : null;
  const facts = element("span", { class: "facts", text: `step ${count(run.last_step)} · ${count(run.series)} series` });
  const status = element("span", { class: "visually-hidden", text: run.status });
  const dot = element("span", { class: "dot", title: run.status });
  const label = element("label", { title: run.id }, box, element("span", { class: "swatch" }), name, alarm, dot, status, facts);
  const only = element("button", { type: "button", class: "only", text: "only", "aria-label": `show ${run.name} only` });
  only.addEventListener("click", () => store.set({ run: [run.id] }));
  const details = iconButton("details", `details of ${run.name}`, () => store.set({ tab: "details", of: run.id }));
  const attributes = { "data-run": run.id, "data-status": run.status, style: { "--colour": colourOf(run.color) } };
  return element("li", attributes, label, only, details);
}

function renderProblems() {
  const lines = model.problems.map(({ path, reason }) => element("li", {}, element("b", { text: path }), ` ${reason}`));
  parts.problems.hidden = lines.length === 0;
  fill(parts.problems, element("summary", { text: `${counted(lines.length, "folder")} left out` }), element("ul", {}, ...lines));
}

function renderGrouping() {
  const { group } = store.now;
  const isPattern = group.startsWith("name:");
  const keys = model.differingKeys.slice(0, 200);
  if (group.startsWith("config:") && !keys.includes(group.slice(7))) keys.push(group.slice(7));
  fill(
    parts.group,
    element("option", { value: "", text: "each run by itself" }),
    element("option", { value: "name:", text: "by name pattern…" }),
    ...keys.map((key) => element("option", { value: `config:${key}`, text: `by ${key}` })),
  );
  parts.group.value = isPattern ? "name:" : group;
  parts.pattern.hidden = !isPattern;
  parts.pattern.value = isPattern ? group.slice(5) : "";
}

function chooseGrouping() {
  const chosen = parts.group.value;
  store.set({ group: chosen === "name:" ? `name:${parts.pattern.value || "seed=*"}` : chosen });
}
