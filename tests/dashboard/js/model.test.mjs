import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { navigate, serve } from "./browser_stub.mjs";

const { connection, query } = await import("../../../python/holter/dashboard/static/api.js");
const { Model } = await import("../../../python/holter/dashboard/static/model.js");

const run = (id, created, fields = {}) => ({ id, name: id, created, series: 1, color: 0, revision: "1", last_point_age_seconds: 5, ...fields });
const series = (...rows) => ({ body: { series: rows.map(([name, nonfinite]) => [name, 10, nonfinite, 0, 9, 1]) } });

let model;
let events;

beforeEach(() => {
  navigate("");
  model = new Model();
  events = [];
  for (const type of ["runs", "names", "points", "problem"]) model.addEventListener(type, ({ detail }) => events.push([type, detail]));
});

test("runs are sorted newest first, and the newest eight are selected", async () => {
  const runs = Array.from({ length: 10 }, (_, index) => run(`r${index}`, `2026-01-${10 + index}`));
  serve({ "/runs": { body: { root: "runs", problems: [], runs } }, ...Object.fromEntries(runs.map(({ id }) => [`/series?run=${id}`, series(["loss", 0])])) });
  await model.load();
  assert.equal(model.runs[0].id, "r9");
  assert.deepEqual(model.selected.map(({ id }) => id), ["r9", "r8", "r7", "r6", "r5", "r4", "r3", "r2"]);
  navigate("#run=r0&run=r9");
  assert.deepEqual(model.selected.map(({ id }) => id), ["r9", "r0"]);
});

test("the names of the selected runs are merged, with their nonfinite points", async () => {
  serve({
    "/runs": { body: { root: "runs", problems: [], runs: [run("a", "1"), run("b", "2")] } },
    "/series?run=a": series(["loss", 2], ["lr", 0]),
    "/series?run=b": series(["loss", 1]),
  });
  await model.load();
  assert.deepEqual([...model.names], [["loss", { nonfinite: 3 }], ["lr", { nonfinite: 0 }]]);
  assert.deepEqual(events.map(([type]) => type), ["runs", "names"]);
});

test("series are fetched again only when their number changes", async () => {
  const answers = { "/runs": { body: { root: "", problems: [], runs: [run("a", "1")] } }, "/series?run=a": series(["loss", 0]) };
  const requests = serve(answers);
  await model.load();
  await model.load();
  assert.equal(requests.filter(({ path }) => path.includes("/series")).length, 1);
  answers["/runs"].body.runs = [run("a", "1", { series: 2 })];
  answers["/series?run=a"] = series(["loss", 0], ["lr", 0]);
  events.length = 0;
  await model.load();
  assert.deepEqual([...model.names.keys()], ["loss", "lr"]);
  assert.deepEqual(events.map(([type]) => type), ["runs", "names"]);
});

test("an unchanged list of series is taken from the cache", async () => {
  const answers = {
    "/runs": { body: { root: "", problems: [], runs: [run("tagged", "1")] } },
    "/series?run=tagged": { ...series(["loss", 0]), headers: { etag: '"v1"' } },
  };
  const requests = serve(answers);
  await model.load();
  answers["/runs"].body.runs = [run("tagged", "1", { series: 3 })];
  answers["/series?run=tagged"] = { status: 304 };
  await model.load();
  assert.deepEqual(requests.at(-1).options.headers, { "if-none-match": '"v1"' });
  assert.deepEqual([...model.names.keys()], ["loss"]);
});

test("runs that are gone or unreadable are reported", async () => {
  const answers = { "/runs": { body: { root: "", problems: [], runs: [run("a", "1"), run("b", "2")] } }, "/series?run=a": series(["loss", 0]) };
  answers["/series?run=b"] = { status: 410, body: { error: { message: "its files were deleted" } } };
  serve(answers);
  await model.load();
  assert.deepEqual(events.filter(([type]) => type === "problem"), [["problem", "b: its files were deleted"]]);
  answers["/runs"].body.runs = [run("b", "2")];
  events.length = 0;
  await model.load();
  assert.match(events.find(([type]) => type === "problem")[1], /^a is gone/);
});

test("a live event updates a run once", async () => {
  serve({ "/runs": { body: { root: "", problems: [], runs: [run("a", "1")] } }, "/series?run=a": series(["loss", 0]) });
  await model.load();
  assert.ok(model.age(model.runs[0]) >= 5);
  const event = { run: "a", revision: "2", last_step: 7 };
  assert.equal(model.apply(event), true);
  assert.equal(model.apply(event), false);
  assert.equal(model.apply({ ...event, run: "gone" }), false);
  assert.equal(model.runs[0].last_step, 7);
  assert.ok(model.age(model.runs[0]) < 5);
  assert.equal(model.age({ ...model.runs[0], last_point_age_seconds: null }), null);
});

test("the connection is lost and found again", async () => {
  const states = [];
  connection.addEventListener("change", () => states.push(connection.isLost));
  serve({});
  await assert.rejects(model.load(), { message: "cannot reach the server", status: 0 });
  serve({ "/runs": { body: { root: "", problems: [], runs: [] } } });
  await model.load();
  assert.deepEqual(states, [true, false]);
});

test("errors have the server's message, or the status", async () => {
  serve({ "/runs": { status: 400, body: { error: { message: "px must be a number" } } } });
  await assert.rejects(model.load(), { message: "px must be a number", status: 400 });
  serve({ "/runs": { status: 500, body: {} } });
  await assert.rejects(model.load(), { message: "the server returned status 500", status: 500 });
});

test("lists become repeated query parameters", () => {
  assert.equal(query({ run: ["a b", "c"], name: "x/y" }), "run=a+b&run=c&name=x%2Fy");
});
