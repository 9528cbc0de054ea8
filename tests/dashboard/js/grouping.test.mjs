import assert from "node:assert/strict";
import { test } from "node:test";

import { cssColor, differingKeys, groupRuns } from "../../../python/holter/dashboard/static/grouping.js";

const RUNS = [
  { id: "a", name: "lr=1 seed=1", color: 0, config: { lr: 1 } },
  { id: "b", name: "lr=1 seed=2", color: 1, config: { lr: 1 } },
  { id: "c", name: "lr=2 seed=1", color: 2, config: { lr: 2 } },
  { id: "d", name: "lr=2 seed=1", color: 3, config: {} },
];

const idsByLabel = (grouping) =>
  Object.fromEntries(groupRuns(RUNS, grouping).map(({ label, runs }) => [label, runs.map(({ id }) => id)]));

test("without a grouping, each run is a group with a unique label", () => {
  assert.deepEqual(idsByLabel(""), { "lr=1 seed=1": ["a"], "lr=1 seed=2": ["b"], "lr=2 seed=1 (c)": ["c"], "lr=2 seed=1 (d)": ["d"] });
  assert.deepEqual(groupRuns(RUNS, "").map(({ color }) => color), [0, 1, 2, 3]);
});

test("runs are grouped by a config key", () => {
  assert.deepEqual(idsByLabel("config:lr"), { "lr = 1": ["a", "b"], "lr = 2": ["c"], "no lr": ["d"] });
});

test("runs are grouped by their names apart from a pattern", () => {
  assert.deepEqual(idsByLabel("name:seed=*"), { "lr=1 seed=*": ["a", "b"], "lr=2 seed=*": ["c", "d"] });
});

test("an empty pattern and special characters are harmless", () => {
  assert.equal(groupRuns(RUNS, "name:").length, 3);
  assert.equal(groupRuns(RUNS, "name:(+").length, 3);
});

test("differing keys are found", () => {
  assert.deepEqual(differingKeys(RUNS), ["lr"]);
  assert.deepEqual(differingKeys(RUNS.slice(0, 2)), []);
});

test("colors repeat after ten", () => {
  assert.equal(cssColor(13), "var(--run-3)");
  assert.equal(cssColor(undefined), "var(--run-0)");
});
