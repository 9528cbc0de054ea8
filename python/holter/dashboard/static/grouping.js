// Which runs are drawn as one. Pure.
//
// Without a grouping every selected run is its own group. With one, runs that agree in a config key, or in what is left of
// their names once the part that a pattern names is taken out, are a group, and what is drawn of it is a band.

import { natural } from "./format.js";

const PALETTE_SIZE = 10;

/** A run's colour as CSS; app.css holds the palette of `holter.plots` for both themes. */
export function colourOf(colour) {
  return typeof colour === "string" ? colour : `var(--run-${(colour ?? 0) % PALETTE_SIZE})`;
}

/** Config keys in which these runs differ, in natural order. */
export function differingKeys(runs) {
  const keys = new Set(runs.flatMap((run) => Object.keys(run.config ?? {})));
  const differs = (key) => new Set(runs.map((run) => JSON.stringify(run.config?.[key]))).size > 1;
  return [...keys].filter(differs).sort(natural);
}

/** Returns the groups `{label, colour, runs: [run]}` of these runs, in their order. */
export function groupRuns(runs, grouping) {
  const labels = uniqueLabels(runs);
  if (!grouping) return runs.map((run) => ({ label: labels.get(run.id), colour: run.color, runs: [run] }));
  const groups = new Map();
  for (const run of runs) {
    const label = groupLabel(run, grouping);
    if (!groups.has(label)) groups.set(label, { label, colour: run.color, runs: [] });
    groups.get(label).runs.push(run);
  }
  return [...groups.values()];
}

function groupLabel(run, grouping) {
  const end = grouping.indexOf(":");
  const [kind, what] = [grouping.slice(0, end), grouping.slice(end + 1)];
  if (kind === "config") return what in (run.config ?? {}) ? `${what} = ${run.config[what]}` : `no ${what}`;
  return run.name.replace(partExpression(what), what || "*");
}

/** `seed=*` as an expression: a star is what reaches to the next blank, comma, slash, underscore or hyphen. */
function partExpression(pattern) {
  const source = pattern.replace(/[\\^$.+()[\]{}|]/g, "\\$&").replace(/\*/g, "[^\\s,/_-]*").replace(/\?/g, "[^\\s,/_-]");
  return new RegExp(source || "$^", "u");
}

/** Names where they are unique among these runs, else with the id. */
function uniqueLabels(runs) {
  const seen = new Map();
  for (const run of runs) seen.set(run.name, (seen.get(run.name) ?? 0) + 1);
  return new Map(runs.map((run) => [run.id, seen.get(run.name) > 1 ? `${run.name} (${run.id})` : run.name]));
}
