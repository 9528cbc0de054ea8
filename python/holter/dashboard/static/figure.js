// @ts-check
// Prepares a figure from the server for plotly.js: decodes columns into typed arrays and fits the layout into a card. Also
// extracts what the crosshair, the legend and the zoom need. Pure.

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} run
 * @property {string} name
 * @property {string} color
 * @property {string} dash solid, dash or dot
 * @property {ArrayLike<number>} x
 * @property {ArrayLike<number>} y
 * @property {number[] | null} steps the step of each point, if x is not the step
 */

/** @typedef {{x: number, text: string}} Annotation */

/**
 * @typedef {Float64Array | Float32Array | Int32Array | Int16Array | Int8Array | Uint32Array | Uint16Array | Uint8Array} Column
 * @type {Record<string, new (buffer: ArrayBuffer) => Column>}
 */
const ARRAY_TYPES = {
  f8: Float64Array,
  f4: Float32Array,
  i4: Int32Array,
  i2: Int16Array,
  i1: Int8Array,
  u4: Uint32Array,
  u2: Uint16Array,
  u1: Uint8Array,
};

/**
 * Replaces every `{dtype, bdata}` below `value` with an array.
 *
 * @param {any} value
 * @returns {any}
 */
export function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (value === null || typeof value !== "object") return value;
  if (value.bdata !== undefined && value.dtype) return decodeColumn(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decode(inner)]));
}

/** @param {{dtype: string, bdata: string, shape?: string}} column */
function decodeColumn({ dtype, bdata, shape }) {
  const bytes = Uint8Array.from(atob(bdata), (character) => character.charCodeAt(0));
  const flat = new (ARRAY_TYPES[dtype.replace(/^[<|]/, "")] ?? Float64Array)(bytes.buffer);
  const [rows, columns] = String(shape ?? "").split(",").map(Number);
  if (columns === undefined) return flat;
  return Array.from({ length: rows }, (_, row) => flat.subarray(row * columns, (row + 1) * columns));
}

/**
 * Returns the lines of a figure that belong in the legend.
 *
 * @param {any[]} data
 * @returns {Line[]}
 */
export function linesOf(data) {
  const lines = data.filter(({ type, meta, hoverinfo }) => type === "scatter" && !meta?.role && hoverinfo !== "skip");
  return lines.map(({ name, meta, line, x, y, customdata }) => {
    const column = meta?.columns?.indexOf("step") ?? -1;
    return {
      label: meta?.label ?? name,
      run: meta?.run ?? "",
      name: meta?.name ?? "",
      color: line?.color ?? "currentColor",
      dash: line?.dash ?? "solid",
      x,
      y,
      steps: column < 0 || !customdata ? null : Array.from(customdata, (row) => row[column]),
    };
  });
}

const ANNOTATIONS = ["nonfinite", "nonpositive", "marks"];

/**
 * Returns the texts at the edges of a figure: NaN and infinite values, values that a log scale cannot show, marks.
 *
 * @param {any[]} data
 * @returns {Annotation[]}
 */
export function annotationsOf(data) {
  return data
    .filter(({ meta, text }) => ANNOTATIONS.includes(meta?.role) && Array.isArray(text))
    .flatMap(({ x, text }) => Array.from(text, (markup, index) => ({ x: x[index], text: plainText(markup) })));
}

/** @type {Record<string, string>} */
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&#37;": "%", "&#36;": "$" };

/**
 * Converts plotly.js markup to plain text.
 *
 * @param {string} markup
 */
function plainText(markup) {
  return markup.replace(/<[^>]*>/g, "").replace(/&(?:lt|gt|amp|#37|#36);/g, (entity) => ENTITIES[entity]);
}

/**
 * Returns the layout for a card of this size. The card itself has the title, the legend, dragging, and the hover text of lines.
 *
 * @param {any} layout
 * @param {number} width
 * @param {number} height
 * @param {string} kind
 */
export function cardLayout(layout, width, height, kind) {
  const isGrid = kind === "heatmap" || kind === "latest";
  const isStep = layout.xaxis?.title?.text === "step";
  return {
    ...layout,
    width,
    height,
    title: undefined,
    annotations: [],
    autosize: false,
    showlegend: false,
    dragmode: false,
    hovermode: isGrid ? "closest" : false,
    margin: { l: 40, r: kind === "heatmap" ? 4 : 12, t: 10, b: isStep || kind === "latest" ? 24 : 38, pad: 0 },
    // "step" as the title would be the same under every chart.
    xaxis: { ...layout.xaxis, automargin: kind === "latest", ...(isStep ? { title: { text: "" } } : {}) },
  };
}
