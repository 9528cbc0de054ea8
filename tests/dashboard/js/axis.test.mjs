import assert from "node:assert/strict";
import { test } from "node:test";

import { axisFor, parseDate } from "../../../python/holter/dashboard/static/axis.js";

test("pixels and values are converted in both directions", () => {
  const axis = axisFor({ type: "linear", range: [-10, 90] }, 40, 500);
  assert.equal(axis.toValue(0), -10);
  assert.equal(axis.toValue(500), 90);
  assert.equal(axis.toPixel(40), 250);
  for (const pixel of [0, 1.5, 123, 500]) assert.ok(Math.abs(axis.toPixel(axis.toValue(pixel)) - pixel) < 1e-9);
});

test("pixels outside the axis are detected and clamped", () => {
  const axis = axisFor({ type: "linear", range: [0, 1] }, 40, 500);
  assert.deepEqual([-1, 0, 500, 501].map((pixel) => axis.contains(pixel)), [false, true, true, false]);
  assert.deepEqual([-1, 250, 501].map((pixel) => axis.clamp(pixel)), [0, 250, 500]);
});

test("a date axis has milliseconds", () => {
  const axis = axisFor({ type: "date", range: ["2026-03-01", "2026-03-01 00:00:10"] }, 40, 100);
  assert.equal(axis.type, "date");
  assert.equal(axis.toValue(50), Date.UTC(2026, 2, 1, 0, 0, 5));
});

test("dates are read in every form that plotly.js writes", () => {
  const cases = [
    ["2026-03-01", Date.UTC(2026, 2, 1)],
    ["2026-03-01 12:30", Date.UTC(2026, 2, 1, 12, 30)],
    ["2026-03-01 12:30:15", Date.UTC(2026, 2, 1, 12, 30, 15)],
    ["2026-03-01 12:30:15.5", Date.UTC(2026, 2, 1, 12, 30, 15, 500)],
    ["2026-03-01 12:30:15.1234", Date.UTC(2026, 2, 1, 12, 30, 15) + 123.4],
  ];
  for (const [text, millis] of cases) assert.equal(parseDate(text), millis, text);
});

test("categories, missing ranges and hidden plots have no axis", () => {
  for (const xaxis of [undefined, {}, { type: "category", range: [0, 1] }, { type: "linear" }, { type: "linear", range: [1, 1] }]) {
    assert.equal(axisFor(xaxis, 40, 500), null);
  }
  assert.equal(axisFor({ type: "linear", range: [0, 1] }, 40, 0), null);
});
