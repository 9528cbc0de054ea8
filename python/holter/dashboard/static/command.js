// The command line that draws the same chart in a terminal.

import { model } from "./model.js";
import { store } from "./state.js";

const BANDS = ["std", "minmax", "quantile"];

/** Quotes a word for a shell. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** `holter plot RUN NAME …` with the options that the chart is seen with. */
export function plotCommand(card) {
  const { start, stop, smooth, log, x } = store.now;
  const view = { start, stop, log_y: log, ...card.ownView() };
  const { key, names, isFamily } = card.spec;
  const [run, ...others] = card.runs().map(pathOf);
  const isPattern = isFamily && key.includes("*");
  const words = ["holter", "plot", run, ...(isPattern ? [key.replace(/[?[]/g, "[$&]")] : names.map(literal))];
  for (const other of others) words.push("--with", other);
  if (card.kind === "band" && BANDS.includes(card.mode)) words.push("--band", card.mode);
  if (card.kind === "heatmap") words.push("--heatmap");
  if (smooth) words.push("--smooth", String(smooth));
  if (view.log_y) words.push("--log-y");
  if (x !== "step") words.push("--x", x);
  if (view.start !== null) words.push("--start", String(view.start));
  if (view.stop !== null) words.push("--stop", String(view.stop));
  return words.map(quoted).join(" ");
}

/** A name as a pattern that matches nothing else. */
function literal(name) {
  return name.replace(/[*?[]/g, "[$&]");
}

function pathOf(id) {
  return [model.root, id].filter((part) => part && part !== ".").join("/");
}
