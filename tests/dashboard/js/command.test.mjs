import assert from "node:assert/strict";
import { test } from "node:test";

import { plotCommand, quoted } from "../../../python/holter/dashboard/static/command.js";

const VIEW = { smooth: 0, x: "step", log: false, start: null, stop: null };
const SPEC = { key: "val/ppl", title: "ppl", names: ["val/ppl"], section: "val", isFamily: false };

test("words are quoted for a shell where needed", () => {
  assert.equal(quoted("runs/a-1"), "runs/a-1");
  assert.equal(quoted("layer_*"), "'layer_*'");
  assert.equal(quoted("it's; rm -rf /"), "'it'\\''s; rm -rf /'");
});

test("the command has the runs and the view of the chart", () => {
  const view = { smooth: 100, x: "wall", log: true, start: 5, stop: 50 };
  const command = plotCommand({ paths: ["runs/a", "runs/b c"], spec: SPEC, kind: "line", mode: "each", view });
  const options = "--smooth 100 --log-y --x wall --start 5 --stop 50";
  assert.equal(command, `holter plot runs/a val/ppl --with 'runs/b c' ${options}`);
});

test("a family is given by its pattern, with the band that is shown", () => {
  const spec = { key: "h/layer_*", title: "layer_*", names: ["h/layer_0", "h/layer_1"], section: "h", isFamily: true };
  const chart = { paths: ["runs/a"], spec, view: VIEW };
  assert.equal(plotCommand({ ...chart, kind: "band", mode: "std" }), "holter plot runs/a 'h/layer_*' --band std");
  assert.equal(plotCommand({ ...chart, kind: "heatmap", mode: "heatmap" }), "holter plot runs/a 'h/layer_*' --heatmap");
});

test("names with pattern characters match only themselves", () => {
  const spec = { ...SPEC, key: "a*[b]?", names: ["a*[b]?"] };
  assert.equal(plotCommand({ paths: ["r"], spec, kind: "line", mode: "each", view: VIEW }), "holter plot r 'a[*][[]b][?]'");
});
