import assert from "node:assert/strict";
import { test } from "node:test";

import { splitIntoChunks } from "../../../python/holter/dashboard/static/batches.js";

const entry = (count, name = "train/loss") => ({ request: { names: Array(count).fill(name) } });
const counts = (chunks) => chunks.map((chunk) => chunk.map(({ request }) => request.names.length));

test("small charts come first, in one request", () => {
  assert.deepEqual(counts(splitIntoChunks([entry(400), entry(1), entry(2)])), [[1, 2, 400]]);
});

test("a request has at most 500 names", () => {
  assert.deepEqual(counts(splitIntoChunks([entry(300), entry(300), entry(100)])), [[100, 300], [300]]);
});

test("a chart that exceeds the limit gets its own request", () => {
  assert.deepEqual(counts(splitIntoChunks([entry(900), entry(1), entry(800)])), [[1], [800], [900]]);
});

test("a request has at most 64 charts", () => {
  const chunks = splitIntoChunks(Array.from({ length: 130 }, () => entry(1)));
  assert.deepEqual(chunks.map((chunk) => chunk.length), [64, 64, 2]);
});

test("long names are limited by their characters", () => {
  const chunks = splitIntoChunks([entry(30, "x".repeat(10_000)), entry(30, "x".repeat(10_000))]);
  assert.deepEqual(counts(chunks), [[30], [30]]);
});

test("the given list keeps its order", () => {
  const entries = [entry(2), entry(1)];
  splitIntoChunks(entries);
  assert.deepEqual(entries.map(({ request }) => request.names.length), [2, 1]);
});
