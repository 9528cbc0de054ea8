// The command line that draws the same chart in a terminal. Pure but for what it is given.

import { store } from "./state.js";
import { model } from "./model.js";

const BANDS = ["std", "minmax", "quantile"];

/** Quotes a word for a shell. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** `holter plot RUN NAME …` with the options that the chart is seen with. */
export function plotCommand(card) {
  const { start, stop, smooth, log } = store.now;
  const view = { start, stop, log_y: log, ...card.ownView() };
  const { key, names, isFamily } = card.spec;
  const words = ["holter", "plot", ...card.runs().map((id) => pathOf(id)), ...(isFamily && key.includes("*") ? [key] : names)];
  if (BANDS.includes(card.mode)) words.push("--band", card.mode);
  if (card.mode === "heatmap") words.push("--heatmap");
  if (smooth) words.push("--half-life", String(smooth));
  if (view.log_y) words.push("--log");
  if (view.start !== null) words.push("--start", String(view.start));
  if (view.stop !== null) words.push("--stop", String(view.stop));
  return words.map(quoted).join(" ");
}

function pathOf(id) {
  return [model.root, id].filter((part) => part && part !== ".").join("/");
}
