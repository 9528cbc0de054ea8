import assert from "node:assert/strict";
import { test } from "node:test";

import { compile } from "../../../python/holter/dashboard/static/search.js";

const NAMES = ["train/loss", "val/loss", "grad_norm/blocks.0.up", "Entropy/layer_1", "a+b"];
const found = (query) => NAMES.filter(compile(query).matches);

test("an empty query matches all names", () => {
  for (const query of ["", "  ", "re:", "re:  "]) assert.deepEqual(found(query), NAMES);
});

test("all words must occur, in any order and case", () => {
  assert.deepEqual(found("LOSS train"), ["train/loss"]);
  assert.deepEqual(found("loss"), ["train/loss", "val/loss"]);
  assert.deepEqual(found("loss entropy"), []);
});

test("words with stars and question marks match the whole name", () => {
  assert.deepEqual(found("*/los?"), ["train/loss", "val/loss"]);
  assert.deepEqual(found("los?"), []);
  assert.deepEqual(found("grad_norm/*.up"), ["grad_norm/blocks.0.up"]);
  assert.deepEqual(found("a+?"), ["a+b"], "other characters match themselves");
});

test("regular expressions match anywhere, ignoring case", () => {
  assert.deepEqual(found("re:^(train|val)/"), ["train/loss", "val/loss"]);
  assert.deepEqual(found("re:entropy/layer_[0-3]$"), ["Entropy/layer_1"]);
});

test("an invalid regular expression matches nothing and has an error", () => {
  const { matches, error } = compile("re:(");
  assert.match(error, /^Invalid regular expression: .+/);
  assert.doesNotMatch(error.slice(5), /Invalid regular expression/);
  assert.equal(NAMES.some(matches), false);
  assert.equal(compile("loss").error, null);
});
