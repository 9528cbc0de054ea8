// @ts-check
// Draws figures with plotly.js, which is loaded on first use: the page does not wait for its 4.8 MB, and the server renders the
// first figures while the browser compiles it.

import { axisFor } from "./axis.js";
import { announce, element } from "./dom.js";
import { cardLayout, decode } from "./figure.js";

/** @typedef {import("./api.js").FigureAnswer & {decoded?: {data: any[], layout: any}}} Answer */

const SOURCE = "/static/plotly.min.js";
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false, showTips: false };

/** @type {Promise<PlotlyModule> | null} */
let plotly = null;
let isCaching = false;

export function isPlotlyRequested() {
  return plotly !== null;
}

/** Downloads plotly.js into the browser's cache. Browsers warn about a preload link if the page draws no chart soon. */
export async function cachePlotly() {
  if (isCaching) return;
  isCaching = true;
  // An error shows again when the script is loaded.
  await fetch(SOURCE).then((response) => response.arrayBuffer()).catch(() => null);
}

export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: SOURCE, async: true });
    script.addEventListener("load", () => resolve(Plotly));
    script.addEventListener("error", () => {
      plotly = null;
      script.remove();
      reject(new Error("plotly.js could not be loaded"));
    });
    document.head.append(script);
  });
  return plotly;
}

/**
 * Draws a figure into a box. Returns its traces.
 *
 * @param {PlotBox} box
 * @param {Answer} answer
 * @param {string} kind
 * @returns {Promise<any[]>}
 */
export async function drawInto(box, answer, kind) {
  const { data, layout } = (answer.decoded ??= decode(answer.figure));
  await loadPlotly();
  if (!box.isConnected) return [];
  await Plotly.react(box, data, cardLayout(layout, box.clientWidth, box.clientHeight, kind), CONFIG);
  return data;
}

/** @param {PlotBox} box */
export function erase(box) {
  if (box.data) Plotly.purge(box);
}

/**
 * Returns the x axis of a drawn box; null if there is none, or if it has categories.
 *
 * The margins that plotly.js chooses for the tick labels are not in the layout. The rectangle that it lays over the plot area
 * for the pointer shows them: this class name is the only detail of plotly.js beyond its API that the page depends on.
 *
 * @param {PlotBox} box
 */
export function axisOf(box) {
  const area = box.querySelector("rect.nsewdrag");
  if (!(area instanceof SVGRectElement)) return null;
  return axisFor(box.layout?.xaxis, area.x.baseVal.value, area.width.baseVal.value);
}

/**
 * Returns a drawn box as an image, as a data URL.
 *
 * @param {PlotBox} box
 * @param {"png" | "svg"} format
 */
export async function imageOf(box, format) {
  await loadPlotly();
  const background = getComputedStyle(document.documentElement).getPropertyValue("--card");
  const layout = { ...box.layout, paper_bgcolor: background, showlegend: true };
  const size = { width: box.clientWidth, height: box.clientHeight };
  try {
    return await Plotly.toImage({ data: box.data ?? [], layout }, { format, ...size, scale: format === "png" ? 2 : 1 });
  } catch (error) {
    announce("plotly.js could not create the image");
    throw error;
  }
}
