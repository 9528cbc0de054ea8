import assert from "node:assert/strict";
import { test } from "node:test";

import { nearest, pointsAt, stepsBetween } from "../../../python/holter/dashboard/static/points.js";

test("the nearest value is found as by a linear search", () => {
  for (let size = 1; size < 12; size += 1) {
    const column = Float64Array.from({ length: size }, (_, index) => index * index);
    for (let target = -3; target < size * size + 3; target += 0.7) {
      const distances = Array.from(column, (value) => Math.abs(value - target));
      assert.equal(distances[nearest(column, target)], Math.min(...distances), `${target} among ${column}`);
    }
  }
  assert.equal(nearest([], 1), -1);
});

const line = (x, y, steps = null) => ({ label: "", run: "", name: "", color: "", dash: "", x, y, steps });

test("each line has its nearest point", () => {
  const [one, empty, other] = [line([0, 10], [1, 2]), line([], []), line([4], [3])];
  assert.deepEqual(pointsAt([one, empty, other], 6), [
    { line: one, x: 10, y: 2 },
    { line: other, x: 4, y: 3 },
  ]);
});

test("on a step axis, the window is rounded outwards and never empty", () => {
  assert.deepEqual(stepsBetween([], true, 1.2, 7.1), [1, 8]);
  assert.deepEqual(stepsBetween([], true, 5, 5), [5, 6]);
});

test("on other axes, the window has the steps of the points in the range", () => {
  const lines = [line([0.5, 1.5, 2.5], [0, 0, 0], [10, 20, 30]), line([1, 2], [0, 0], [15, 25])];
  assert.deepEqual(stepsBetween(lines, false, 0.9, 2.1), [15, 26]);
  assert.equal(stepsBetween(lines, false, 3, 4), null);
  assert.equal(stepsBetween([line([1], [1])], false, 0, 2), null);
});
