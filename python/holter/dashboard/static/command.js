// @ts-check
// The command line that draws a chart in a terminal. Pure.

const BANDS = ["std", "minmax", "quantile"];

/**
 * Quotes a word for a shell.
 *
 * @param {string} word
 */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * @typedef {object} PlottedChart
 * @property {string[]} paths of the runs
 * @property {import("./families.js").ChartSpec} spec
 * @property {string} kind
 * @property {string} mode
 * @property {{smooth: number, x: string, log: boolean, start: number | null, stop: number | null}} view
 */

/**
 * Returns `holter plot RUN NAME …` with the options that give the same chart.
 *
 * @param {PlottedChart} chart
 */
export function plotCommand({ paths, spec, kind, mode, view }) {
  const { key, names, isFamily } = spec;
  const [run, ...others] = paths;
  const isPattern = isFamily && key.includes("*");
  const words = ["holter", "plot", run, ...(isPattern ? [key.replace(/[?[]/g, "[$&]")] : names.map(literal))];
  for (const other of others) words.push("--with", other);
  if (kind === "band" && BANDS.includes(mode)) words.push("--band", mode);
  if (kind === "heatmap") words.push("--heatmap");
  if (view.smooth) words.push("--smooth", String(view.smooth));
  if (view.log) words.push("--log-y");
  if (view.x !== "step") words.push("--x", view.x);
  if (view.start !== null) words.push("--start", String(view.start));
  if (view.stop !== null) words.push("--stop", String(view.stop));
  return words.map(quoted).join(" ");
}

/**
 * Returns a pattern that matches only this name.
 *
 * @param {string} name
 */
function literal(name) {
  return name.replace(/[*?[]/g, "[$&]");
}
