import assert from "node:assert/strict";
import { test } from "node:test";

import { changedFields, formatHash, parseHash, toggled, valuesByKey } from "../../../python/holter/dashboard/static/address.js";

test("a view survives formatting and parsing", () => {
  const hash =
    "#tab=compare&run=a%2Cb&run=&q=re%3A%5Ex&pin=a%2Fb+%2B+c&smooth=12.5&log=1&mode=std%3Aa%3Ab&threshold=1.5%3Ax&start=-5&stop=7";
  const state = parseHash(hash);
  assert.deepEqual(state.run, ["a,b"]);
  assert.equal(state.q, "re:^x");
  assert.deepEqual(state.pin, ["a/b + c"]);
  assert.equal(state.smooth, 12.5);
  assert.equal(state.log, true);
  assert.equal(state.start, -5);
  assert.equal(state.stop, 7);
  assert.deepEqual(parseHash(formatHash(state)), state);
});

test("the default view is an empty hash", () => {
  assert.equal(formatHash(parseHash("")), "");
  assert.equal(parseHash("").run, null);
});

test("an empty selection differs from no selection", () => {
  assert.deepEqual(parseHash("run=").run, []);
  assert.equal(formatHash(parseHash("run=")), "run=");
});

test("invalid and unknown fields get the default", () => {
  const state = parseHash("#smooth=x&start=abc&stop=&columns=NaN&log=maybe&open=&unknown=1");
  assert.deepEqual(state, parseHash(""));
});

test("changed fields are found by content", () => {
  const before = parseHash("run=a&log=1");
  assert.deepEqual(changedFields(before, parseHash("run=a&log=1")), new Set());
  assert.deepEqual(changedFields(before, parseHash("run=b&q=x&log=1")), new Set(["run", "q"]));
});

test("words are grouped by key, which may have colons", () => {
  const values = valuesByKey(["1.5:train/loss", "2:train/loss", "std:a:b", ":x", "y"]);
  assert.deepEqual([...values], [["train/loss", ["1.5", "2"]], ["a:b", ["std"]]]);
});

test("toggling removes or adds an item", () => {
  assert.deepEqual(toggled(["a", "b"], "a"), ["b"]);
  assert.deepEqual(toggled(["b"], "a"), ["b", "a"]);
});
