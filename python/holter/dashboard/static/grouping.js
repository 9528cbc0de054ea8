// @ts-check
// Groups runs that are drawn as one band. Pure.
//
// Without a grouping, every selected run is its own group. With one, runs belong together if they have the same value of a
// config key, or the same name apart from the part that a pattern matches.

import { natural } from "./format.js";

/** @typedef {import("./api.js").Run} Run */

/**
 * @template R
 * @typedef {{label: string, color: number, runs: R[]}} Group
 */

const PALETTE_SIZE = 10;

/**
 * Returns the CSS color for an index into the palette, which app.css defines for both themes as `holter.plots` does.
 *
 * @param {number} [index]
 */
export function cssColor(index = 0) {
  return `var(--run-${index % PALETTE_SIZE})`;
}

/**
 * Returns the config keys in which runs differ, in natural order.
 *
 * @param {Pick<Run, "config">[]} runs
 */
export function differingKeys(runs) {
  const keys = new Set(runs.flatMap((run) => Object.keys(run.config)));
  /** @param {string} key */
  const differs = (key) => new Set(runs.map((run) => JSON.stringify(run.config[key]))).size > 1;
  return [...keys].filter(differs).sort(natural);
}

/**
 * Returns the groups of runs, in the order of the runs.
 *
 * @template {Pick<Run, "id" | "name" | "color" | "config">} R
 * @param {R[]} runs
 * @param {string} grouping config:KEY, name:PATTERN or empty
 * @returns {Group<R>[]}
 */
export function groupRuns(runs, grouping) {
  const labels = uniqueLabels(runs);
  const groups = new Map();
  for (const run of runs) {
    const label = grouping ? groupLabel(run, grouping) : labels.get(run.id);
    if (!groups.has(label)) groups.set(label, { label, color: run.color, runs: [] });
    groups.get(label).runs.push(run);
  }
  return [...groups.values()];
}

/**
 * @param {Pick<Run, "name" | "config">} run
 * @param {string} grouping
 */
function groupLabel({ name, config }, grouping) {
  const end = grouping.indexOf(":");
  const [kind, key] = [grouping.slice(0, end), grouping.slice(end + 1)];
  if (kind === "config") return key in config ? `${key} = ${config[key]}` : `no ${key}`;
  return name.replace(partExpression(key), key || "*");
}

/**
 * Returns the regular expression for a pattern such as `seed=*`: a star matches up to the next space, comma, slash, underscore
 * or hyphen.
 *
 * @param {string} pattern
 */
function partExpression(pattern) {
  const source = pattern.replace(/[\\^$.+()[\]{}|]/g, "\\$&").replace(/\*/g, "[^\\s,/_-]*").replace(/\?/g, "[^\\s,/_-]");
  return new RegExp(source || "$^", "u");
}

/**
 * Returns the label of each run: its name, followed by the ID if several runs have the same name.
 *
 * @param {Pick<Run, "id" | "name">[]} runs
 * @returns {Map<string, string>}
 */
function uniqueLabels(runs) {
  const counts = new Map();
  for (const { name } of runs) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map(runs.map(({ id, name }) => [id, counts.get(name) > 1 ? `${name} (${id})` : name]));
}
