import assert from "node:assert/strict";
import { test } from "node:test";

import { halfLife, sliderPosition } from "../../../python/holter/dashboard/static/smoothing.js";

test("the slider goes from off to 10,000 steps in equal ratios", () => {
  assert.deepEqual([0, 25, 50, 75, 100].map(halfLife), [0, 10, 100, 1000, 10_000]);
});

test("each position is found again from its half-life", () => {
  for (let position = 1; position <= 100; position += 1) {
    assert.equal(halfLife(sliderPosition(halfLife(position))), halfLife(position));
  }
  assert.equal(sliderPosition(0), 0);
});
