import assert from "node:assert/strict";
import { test } from "node:test";

import { annotationsOf, cardLayout, decode, linesOf } from "../../../python/holter/dashboard/static/figure.js";

const encoded = (array) => Buffer.from(array.buffer).toString("base64");

test("columns are decoded into typed arrays", () => {
  const floats = new Float64Array([1.5, Number.NaN, -Infinity]);
  const ints = new Int32Array([1, -2]);
  const figure = decode({
    data: [{ x: { dtype: "<f8", bdata: encoded(floats) }, y: { dtype: "i4", bdata: encoded(ints) } }],
    layout: { title: null, range: [0, 1] },
  });
  assert.deepEqual(figure.data[0].x, floats);
  assert.deepEqual(figure.data[0].y, ints);
  assert.deepEqual(figure.layout, { title: null, range: [0, 1] });
});

test("columns with a shape are decoded into rows", () => {
  const rows = decode({ dtype: "f4", bdata: encoded(new Float32Array([1, 2, 3, 4, 5, 6])), shape: "2, 3" });
  assert.deepEqual(rows, [new Float32Array([1, 2, 3]), new Float32Array([4, 5, 6])]);
});

const TRACES = [
  { type: "scatter", meta: { role: "ribbon" }, x: [], y: [] },
  { type: "scatter", hoverinfo: "skip", x: [], y: [] },
  {
    type: "scatter",
    name: "loss",
    meta: { run: "a", name: "train/loss", label: "a · loss", columns: ["lower", "step"] },
    line: { color: "#123456", dash: "dot" },
    x: [0.5, 1.5],
    y: [2, 1],
    customdata: [[0, 10], [0, 20]],
  },
  { type: "scatter", name: "plain", x: [1], y: [2] },
  { type: "scatter", meta: { role: "nonfinite" }, x: [7], text: ["<b>NaN</b> at step 7 &lt;x&gt; 5&#37;"] },
  { type: "scatter", meta: { role: "marks" }, x: [8] },
];

test("lines are the traces that belong in the legend", () => {
  const [line, plain, ...others] = linesOf(TRACES);
  assert.deepEqual(others, []);
  assert.deepEqual(
    { label: line.label, run: line.run, name: line.name, color: line.color, dash: line.dash, steps: line.steps },
    { label: "a · loss", run: "a", name: "train/loss", color: "#123456", dash: "dot", steps: [10, 20] },
  );
  assert.equal(plain.label, "plain");
  assert.equal(plain.steps, null);
});

test("annotations are plain text", () => {
  assert.deepEqual(annotationsOf(TRACES), [{ x: 7, text: "NaN at step 7 <x> 5%" }]);
});

test("the layout of a card has its size, without the title of the step axis", () => {
  const layout = { title: { text: "loss" }, xaxis: { type: "linear", title: { text: "step" } }, yaxis: { type: "log" } };
  const fitted = cardLayout(layout, 300, 200, "line");
  assert.deepEqual([fitted.width, fitted.height, fitted.title, fitted.hovermode], [300, 200, undefined, false]);
  assert.deepEqual(fitted.xaxis, { type: "linear", title: { text: "" }, automargin: false });
  assert.deepEqual(fitted.yaxis, { type: "log" });
  assert.equal(cardLayout(layout, 300, 200, "heatmap").hovermode, "closest");
  assert.deepEqual(layout.xaxis, { type: "linear", title: { text: "step" } });
});
