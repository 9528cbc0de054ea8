// A figure as the server sends it, made ready for Plotly: columns become typed arrays without a copy through text, and the
// layout fits into a card. Also what the shared cursor, the legend and the tables need to know of its lines.

const TYPES = { f8: Float64Array, f4: Float32Array, i4: Int32Array, i2: Int16Array, i1: Int8Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };

/** Replaces every `{dtype, bdata}` below `value`. */
export function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (value === null || typeof value !== "object") return value;
  if (value.bdata !== undefined && value.dtype) return column(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decode(inner)]));
}

function column({ dtype, bdata, shape }) {
  const bytes = Uint8Array.from(atob(bdata), (sign) => sign.charCodeAt(0));
  const flat = new (TYPES[dtype.replace(/^[<|]/, "")] ?? Float64Array)(bytes.buffer);
  const sizes = String(shape ?? "").split(",").map(Number);
  if (sizes.length < 2) return flat;
  return Array.from({ length: sizes[0] }, (_, row) => flat.subarray(row * sizes[1], (row + 1) * sizes[1]));
}

/** The lines of a figure's data: what has a place in the legend. `x`, `y` and, where x is no step, `steps` are columns. */
export function linesOf(data) {
  const isLine = ({ type, meta, hoverinfo }) => type === "scatter" && !meta?.role && hoverinfo !== "skip";
  return data.filter(isLine).map(({ name, meta, line, x, y, customdata }) => {
    const column = meta?.columns?.indexOf("step") ?? -1;
    return {
      label: meta?.label ?? name,
      run: meta?.run ?? "",
      name: meta?.name ?? "",
      colour: line?.color ?? "currentColor",
      dash: line?.dash ?? "solid",
      x,
      y,
      steps: column < 0 || !customdata ? null : Array.from(customdata, (row) => row[column]),
    };
  });
}

/** What stands at the edges of a figure and speaks for itself: NaN and infinities, marks. */
export function signsOf(data) {
  const told = ["nonfinite", "nonpositive", "marks"];
  return data
    .filter(({ meta, text }) => told.includes(meta?.role) && Array.isArray(text))
    .flatMap(({ x, text }) => Array.from(text, (words, index) => ({ x: x[index], text: plain(words) })));
}

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&#37;": "%", "&#36;": "$" };

/** Plotly's markup as plain text. */
function plain(words) {
  return words.replace(/<[^>]*>/g, "").replace(/&(?:lt|gt|amp|#37|#36);/g, (entity) => ENTITIES[entity]);
}

/** The layout for a card of this size: title, legend, dragging and the hover of lines are the card's own. */
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
    // The steps need no title of their own: it would be the same under every chart.
    xaxis: { ...layout.xaxis, automargin: kind === "latest", ...(isStep ? { title: { text: "" } } : {}) },
  };
}

/** Index of the value in ascending `column` that is nearest to `wanted`; -1 if there is none. */
export function nearest(column, wanted) {
  let [low, high] = [0, column.length - 1];
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - column[low - 1] <= column[low] - wanted ? low - 1 : low;
}
