import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { historyCalls, navigate, stored } from "./browser_stub.mjs";

const { isBarOpen, store, toggleBar, toggleMarks } = await import("../../../python/holter/dashboard/static/state.js");

beforeEach(() => {
  stored.clear();
  navigate("");
  historyCalls.length = 0;
});

test("a change is in the URL and in the history", () => {
  store.set({ q: "loss" });
  assert.equal(location.hash, "#q=loss");
  store.set({ log: true }, { replace: true });
  assert.equal(location.hash, "#q=loss&log=1");
  assert.deepEqual(historyCalls, ["push", "replace"]);
  store.set({ log: true });
  assert.equal(historyCalls.length, 2, "nothing changed");
});

test("listeners are called for their fields only", () => {
  const calls = [];
  store.onChange(["q"], () => calls.push("q"));
  store.onChange(["log", "trim"], () => calls.push("scale"));
  store.onChange(null, () => calls.push("any"));
  store.set({ q: "x", log: true });
  assert.deepEqual(calls.splice(0), ["q", "scale", "any"]);
  store.set({ x: "wall" });
  assert.deepEqual(calls.splice(0), ["any"]);
  store.set({ x: "wall" });
  assert.deepEqual(calls, []);
});

test("the back button restores the view", () => {
  store.set({ start: 5, stop: 10 });
  navigate("");
  assert.deepEqual([store.now.start, store.now.stop], [null, null]);
});

test("pins are stored, and a link's pins come first", () => {
  store.set({ pin: ["train/loss"] });
  navigate("");
  assert.deepEqual(store.now.pin, ["train/loss"]);
  navigate("#pin=val/loss");
  assert.deepEqual(store.now.pin, ["val/loss"]);
});

test("invalid stored pins are ignored", () => {
  for (const text of ["{", "5", "[1, null]"]) {
    stored.set("holter.pins", text);
    navigate("");
    assert.deepEqual(store.now.pin, [], text);
  }
});

test("the list of runs and the marks are toggled", () => {
  assert.equal(isBarOpen(), true);
  toggleBar();
  assert.equal(isBarOpen(), false);
  toggleBar();
  assert.equal(isBarOpen(), true);
  toggleMarks();
  assert.equal(store.now.marks, "off");
  toggleMarks();
  assert.equal(store.now.marks, "on");
});
