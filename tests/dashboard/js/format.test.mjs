import assert from "node:assert/strict";
import { test } from "node:test";

import { count, counted, duration, localTime, natural, value } from "../../../python/holter/dashboard/static/format.js";

test("counts have thousands separators", () => {
  assert.equal(count(1_234_567), "1,234,567");
  assert.equal(count(null), "–");
  assert.equal(counted(1, "run"), "1 run");
  assert.equal(counted(2, "run"), "2 runs");
  assert.equal(counted(2, "series", "series"), "2 series");
});

test("values have five significant digits", () => {
  const cases = [
    [0, "0"],
    [1_234_567, "1,234,567"],
    [0.000012345, "1.234e−5"],
    [12_345_678, "1.235e7"],
    [-2.5, "−2.5"],
    [1 / 3, "0.33333"],
    [null, "–"],
  ];
  for (const [number, text] of cases) assert.equal(value(number), text);
});

test("nonfinite values are named, as numbers and as text from the server", () => {
  for (const nan of [Number.NaN, "nan"]) assert.equal(value(nan), "NaN");
  for (const infinity of [Infinity, "inf"]) assert.equal(value(infinity), "∞");
  for (const infinity of [-Infinity, "-inf"]) assert.equal(value(infinity), "−∞");
});

test("durations have at most two units", () => {
  const cases = [
    [5, "5 s"],
    [200, "3 min 20 s"],
    [3600, "1 h"],
    [7500, "2 h 5 min"],
    [273_600, "3 d 4 h"],
    [-1, "0 s"],
    [null, "–"],
    [Infinity, "–"],
  ];
  for (const [secs, text] of cases) assert.equal(duration(secs), text);
});

test("missing and invalid times are dashes", () => {
  for (const text of [null, undefined, "", "soon"]) assert.equal(localTime(text), "–");
  assert.match(localTime("2026-03-01T12:30:00Z"), /2026/);
});

test("natural order sorts numbers in names by size", () => {
  assert.deepEqual(["layer_10", "layer_2", "a"].sort(natural), ["a", "layer_2", "layer_10"]);
});
