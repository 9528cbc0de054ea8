// @ts-check
// The metadata of a run: its origin, its configuration, and the health of its recorder.

import { downloadUrl } from "./api.js";
import { byId, copy, element, fill } from "./dom.js";
import { count, counted, duration, localTime, value } from "./format.js";
import { model } from "./model.js";
import { store } from "./state.js";

/**
 * @typedef {import("./api.js").Run} Run
 * @typedef {import("./dom.js").Child} Child
 * @typedef {[key: string, content: Child][]} Entries
 */

const MAX_NONFINITE_SERIES = 200;

const host = byId("details");

export function setUpDetails() {
  store.onChange(["details", "tab"], renderDetails);
}

export function renderDetails() {
  if (store.now.tab !== "details") return;
  const run = model.byId(store.now.details) ?? model.selected[0] ?? model.runs[0];
  if (!run) return fill(host, element("p", { class: "empty", text: "No runs yet." }));
  const chooser = element("select", { "aria-label": "run" });
  for (const { id, name } of model.runs) chooser.append(element("option", { value: id, text: name === id ? name : `${name} (${id})` }));
  chooser.value = run.id;
  chooser.addEventListener("change", () => store.set({ details: chooser.value }));
  const report = element("a", { class: "button", href: downloadUrl("report.html", { run: run.id }), download: "", text: "Report (HTML)" });
  fill(
    host,
    element("div", { class: "details-head" }, chooser, report),
    element(
      "div",
      { class: "blocks" },
      listBlock("Run", facts(run)),
      listBlock("Recorder", health(run)),
      block("Command line", commandLine(run)),
      listBlock("Git", entriesOf(run.git)),
      listBlock("Machine", run.host === null ? [] : [["host", run.host]]),
      listBlock("Versions", entriesOf(run.versions)),
      listBlock("Configuration", entriesOf(run.config)),
      nonfiniteSeries(run),
    ),
  );
}

/**
 * @param {Run} run
 * @returns {Entries}
 */
function facts(run) {
  return [
    ["status", run.status],
    ["directory", run.id],
    ["created", localTime(run.created)],
    ["finished", localTime(run.finished)],
    ["last step", count(run.last_step)],
    ["steps per second", value(run.steps_per_second)],
    ["time left", run.is_live ? duration(run.eta_seconds) : "–"],
    ["tags", run.tags.join(", ") || "–"],
  ];
}

/**
 * @param {Run} run
 * @returns {Entries}
 */
function health(run) {
  return [
    ["points", count(run.points)],
    ["series", count(run.series)],
    ["series with NaN or Inf", count(run.nonfinite_series)],
    ["points dropped", count(run.dropped)],
    ["attempts", count(run.attempts.length)],
  ];
}

/** @param {Run} run */
function commandLine(run) {
  const text = run.command_line.join(" ");
  if (!text) return "–";
  const button = element("button", { type: "button", text: "Copy", on: { click: () => copy(text, "command line") } });
  return element("div", { class: "command" }, element("code", { text }), button);
}

/**
 * @param {unknown} content
 * @returns {Entries}
 */
function entriesOf(content) {
  if (content === null || content === undefined) return [];
  if (typeof content !== "object") return [["", String(content)]];
  return Object.entries(content).map(([key, inner]) => [key, typeof inner === "object" ? JSON.stringify(inner) : String(inner)]);
}

/**
 * @param {string} title
 * @param {Entries} entries
 */
function listBlock(title, entries) {
  if (!entries.length) return null;
  const items = entries.flatMap(([key, content]) => [element("dt", { text: key }), element("dd", {}, content)]);
  return block(title, element("dl", {}, ...items));
}

/**
 * @param {string} title
 * @param {Child} content
 */
function block(title, content) {
  return element("section", { class: "block" }, element("h2", { text: title }), content);
}

/**
 * Lists the series with NaN or infinite values. A click on one shows its chart.
 *
 * @param {Run} run
 */
function nonfiniteSeries(run) {
  const rows = model.seriesOf(run.id).filter(([, , nonfinite]) => nonfinite > 0);
  if (!rows.length) return null;
  const items = rows.slice(0, MAX_NONFINITE_SERIES).map(([name, points, nonfinite]) => {
    const expression = `re:^${name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")}$`;
    const click = () => store.set({ tab: "charts", q: expression, run: [run.id] });
    const button = element("button", { type: "button", class: "link", text: name, on: { click } });
    return element("li", {}, button, ` ${count(nonfinite)} of ${counted(points, "point")}`);
  });
  return block("Series with NaN or Inf", element("ul", {}, ...items));
}
