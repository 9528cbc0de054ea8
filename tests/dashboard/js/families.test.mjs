import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_MEMBERS, familyPattern, partnerOf, pinnedChart, sectionsOf } from "../../../python/holter/dashboard/static/families.js";

const namesOf = (...names) => new Map(names.map((name) => [name, {}]));

test("the number of a family is the layer's, or the first separate one", () => {
  const cases = [
    ["attention_entropy/layer_11", "attention_entropy/layer_*"],
    ["layer_3/attention_entropy", "layer_*/attention_entropy"],
    ["grad_norm/blocks.0.mlp.2.weight", "grad_norm/blocks.*.mlp.2.weight"],
    ["grad_norm/transformer.h.7.attn.weight", "grad_norm/transformer.h.*.attn.weight"],
    ["model.layers.12.mlp", "model.layers.*.mlp"],
    ["experts/3/load", "experts/*/load"],
    ["m3_alpha", null],
    ["train/loss", null],
    ["top1_share", null],
  ];
  for (const [name, pattern] of cases) assert.equal(familyPattern(name), pattern);
});

test("sections have families in natural order, train and val first", () => {
  const layers = [10, 2, 0, 1].map((layer) => `entropy/layer_${layer}`);
  const sections = sectionsOf([...layers, "val/loss", "train/loss", "lr", "alpha/layer_0"]);
  assert.deepEqual(sections.map(({ name }) => name), ["train", "val", "alpha", "entropy", ""]);
  const [family] = sections[3].charts;
  assert.deepEqual(family.names, [0, 1, 2, 10].map((layer) => `entropy/layer_${layer}`));
  assert.equal(family.title, "layer_*");
  assert.equal(family.isFamily, true);
  const [single] = sections[2].charts;
  assert.equal(single.key, "alpha/layer_0");
  assert.equal(single.isFamily, false);
});

test("a family that is too large has one chart per member", () => {
  const names = Array.from({ length: MAX_MEMBERS + 1 }, (_, layer) => `e/layer_${layer}`);
  const [section] = sectionsOf(names);
  assert.equal(section.charts.length, names.length);
  assert.equal(section.charts[2].key, "e/layer_2");
});

test("a pinned key is a name, several names or a pattern", () => {
  const names = namesOf("train/loss", "val/loss", "e/layer_0", "e/layer_1");
  assert.deepEqual(pinnedChart("train/loss", names).names, ["train/loss"]);
  assert.deepEqual(pinnedChart("train/loss + val/loss", names).names, ["train/loss", "val/loss"]);
  assert.deepEqual(pinnedChart("e/layer_*", names).names, ["e/layer_0", "e/layer_1"]);
  assert.equal(pinnedChart("train/loss + gone", names), null);
  assert.equal(pinnedChart("gone", names), null);
});

test("train and val series of the same name are partners", () => {
  const names = namesOf("train/loss", "val/loss", "train/lr");
  assert.equal(partnerOf({ key: "train/loss", isFamily: false }, names), "val/loss");
  assert.equal(partnerOf({ key: "val/loss", isFamily: false }, names), "train/loss");
  assert.equal(partnerOf({ key: "train/lr", isFamily: false }, names), null);
  assert.equal(partnerOf({ key: "train/loss", isFamily: true }, names), null);
});
