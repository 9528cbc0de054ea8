import assert from "node:assert/strict";
import { test } from "node:test";

import { sortedColumns } from "../../../python/holter/dashboard/static/sorting.js";

const cells = (...values) => values.map((value) => (typeof value === "number" ? { value, text: String(value) } : { value: null, text: value }));
const COMPARISON = {
  runs: ["a", "b", "c", "d"],
  rows: [
    { label: "loss", cells: cells(2, "–", 0, 1) },
    { label: "note", cells: cells("3 ± 1", "x", "1 ± 1", "2 ± 1") },
  ],
};

test("columns are sorted by the numbers of a row, missing ones last", () => {
  assert.deepEqual(sortedColumns(COMPARISON, { label: "loss", isDescending: false }), [2, 3, 0, 1]);
  assert.deepEqual(sortedColumns(COMPARISON, { label: "loss", isDescending: true }), [0, 3, 2, 1]);
});

test("cells without a value are sorted by the number in their text", () => {
  assert.deepEqual(sortedColumns(COMPARISON, { label: "note", isDescending: false }), [2, 3, 0, 1]);
});

test("without a row, the order stays", () => {
  for (const label of [null, "gone"]) assert.deepEqual(sortedColumns(COMPARISON, { label, isDescending: false }), [0, 1, 2, 3]);
});
