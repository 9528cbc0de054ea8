import assert from "node:assert/strict";
import { test } from "node:test";

import { paceText, problemText, progressOf, progressText } from "../../../python/holter/dashboard/static/run_text.js";

const RUN = { is_live: true, last_step: 49, total_steps: 100, steps_per_second: 12.345, eta_seconds: 90, series: 5, attempts: [{}], created: "2026-01-01T00:00:00Z" };
const FINISHED = { ...RUN, is_live: false, steps_per_second: null, finished: "2026-01-01T01:05:00Z" };

test("progress is a text and a fraction", () => {
  assert.equal(progressText(RUN), "step 49 of 100");
  assert.equal(progressText({ ...RUN, total_steps: null }), "step 49");
  assert.equal(progressText({ ...RUN, last_step: null }), "no steps yet");
  assert.equal(progressOf(RUN), 0.5);
  assert.equal(progressOf({ ...RUN, last_step: 1000 }), 1);
  assert.equal(progressOf({ ...RUN, last_step: null }), 0);
  assert.equal(progressOf({ ...RUN, total_steps: null }), null);
});

test("a live run has a speed, a time left and an age", () => {
  assert.equal(paceText(RUN, 3), "12.3 steps/s · 1 min 30 s left · last point 3 s ago");
  assert.equal(paceText({ ...RUN, eta_seconds: null, steps_per_second: null }, null), "");
});

test("a finished run has a duration", () => {
  assert.equal(paceText(FINISHED, 3), "took 1 h 5 min");
});

test("problems are listed", () => {
  assert.equal(problemText({ ...RUN, dropped: 0, nonfinite_series: 0, attempts: [{}] }), "");
  const run = { ...RUN, dropped: 1, nonfinite_series: 2, attempts: [{}, {}] };
  assert.equal(problemText(run), "1 point dropped · NaN/Inf in 2 of 5 series · 2 attempts");
});
