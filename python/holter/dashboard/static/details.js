// Everything that is known of one run: where it came from, its configuration, and how its recorder is.

import { downloadUrl } from "./api.js";
import { copy, element, fill } from "./dom.js";
import { count, counted, duration, moment, value } from "./format.js";
import { model } from "./model.js";
import { store } from "./state.js";

let host = null;

export function setUpDetails(node) {
  host = node;
  store.follow(["of", "tab"], renderDetails);
}

export function renderDetails() {
  if (store.now.tab !== "details") return;
  const run = model.byId(store.now.of) ?? model.selected[0] ?? model.runs[0];
  if (!run) return void fill(host, element("p", { class: "empty", text: "There is no run yet." }));
  const chooser = element("select", { "aria-label": "run" });
  for (const { id, name } of model.runs) chooser.append(element("option", { value: id, text: name === id ? name : `${name} (${id})` }));
  chooser.value = run.id;
  chooser.addEventListener("change", () => store.set({ of: chooser.value }));
  const report = element("a", { class: "button", href: downloadUrl("report.html", { run: run.id }), download: "", text: "Report (HTML)" });
  fill(
    host,
    element("div", { class: "details-head" }, chooser, report),
    element(
      "div",
      { class: "blocks" },
      block("Run", facts(run)),
      block("Recorder", health(run)),
      wide("Command line", command(run)),
      block("Git", pairs(run.git)),
      block("Machine", typeof run.host === "string" ? [["host", run.host]] : pairs(run.host)),
      block("Versions", pairs(run.versions)),
      block("Configuration", pairs(run.config)),
      nonfinite(run),
    ),
  );
}

function facts(run) {
  return [
    ["status", run.status],
    ["directory", run.id],
    ["created", moment(run.created)],
    ["finished", moment(run.finished)],
    ["last step", count(run.last_step)],
    ["steps per second", run.steps_per_second ? value(run.steps_per_second) : "–"],
    ["time left", run.is_live ? duration(run.eta_seconds) : "–"],
    ["tags", run.tags?.join(", ") || "–"],
  ];
}

function health(run) {
  return [
    ["points", count(run.points)],
    ["series", count(run.series)],
    ["series with NaN or Inf", count(run.nonfinite_series)],
    ["points dropped", count(run.dropped)],
    ["attempts", count(run.attempts?.length ?? 1)],
  ];
}

function command(run) {
  const text = Array.isArray(run.command_line) ? run.command_line.join(" ") : (run.command_line ?? "");
  if (!text) return "–";
  const button = element("button", { type: "button", text: "Copy" });
  button.addEventListener("click", () => copy(text, "command line"));
  return element("div", { class: "command" }, element("code", { text }), button);
}

function pairs(content) {
  if (content === null || content === undefined) return [];
  if (typeof content !== "object") return [["", String(content)]];
  return Object.entries(content).map(([key, inner]) => [key, typeof inner === "object" ? JSON.stringify(inner) : String(inner)]);
}

function block(title, entries) {
  if (!entries.length) return null;
  const items = entries.flatMap(([key, inner]) => [element("dt", { text: key }), element("dd", {}, inner)]);
  return element("section", { class: "block" }, element("h2", { text: title }), element("dl", {}, ...items));
}

function wide(title, content) {
  return element("section", { class: "block" }, element("h2", { text: title }), content);
}

/** The series that have NaN or Inf, each a way to its chart. */
function nonfinite(run) {
  const bad = model.seriesOf(run.id).filter(([, , number]) => number > 0);
  if (!bad.length) return null;
  const items = bad.slice(0, 200).map(([name, points, number]) => {
    const button = element("button", { type: "button", class: "link", text: name });
    button.addEventListener("click", () => store.set({ tab: "charts", q: `re:^${name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")}$`, run: [run.id] }));
    return element("li", {}, button, ` ${count(number)} of ${counted(points, "point")}`);
  });
  const heading = element("h2", { text: "Series with NaN or Inf" });
  return element("section", { class: "block" }, heading, element("ul", {}, ...items));
}
