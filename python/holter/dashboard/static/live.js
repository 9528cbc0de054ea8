// @ts-check
// Live updates without polling: the server sends an event when a run changes. Then, at most once a second, the visible charts of
// the changed runs are fetched again.

import { connection, openEventStream } from "./api.js";
import { model } from "./model.js";
import { store } from "./state.js";

const CHARTS_MILLIS = 1000;
const LIST_MILLIS = 5000;
const RECONNECT_MILLIS = 3000;

/** @type {EventSource | null} */
let source = null;
let subscription = "";
let listedAt = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let chartTimer;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let listTimer;
/** @type {Set<string>} */
const changed = new Set();

export function startLive() {
  model.addEventListener("runs", connect);
  store.onChange(["run"], connect);
  document.addEventListener("visibilitychange", scheduleCharts);
  connect();
}

/** Subscribes to the events of the selected runs. */
function connect() {
  const ids = model.selected.map((run) => run.id);
  // The stream also reports changes of the list. It needs at least one ID, which need not exist.
  const wanted = JSON.stringify(ids.length ? ids : [""]);
  if (wanted === subscription && source?.readyState !== EventSource.CLOSED) return;
  subscription = wanted;
  source?.close();
  const stream = openEventStream(JSON.parse(wanted));
  source = stream;
  stream.addEventListener("open", () => {
    const wasLost = connection.isLost;
    connection.update(false);
    if (wasLost) void loadList();
  });
  stream.addEventListener("error", () => {
    connection.update(true);
    // The browser reconnects, except after an HTTP error.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MILLIS);
  });
  stream.addEventListener("runs", () => void loadList());
  stream.addEventListener("gone", () => void loadList());
  stream.addEventListener("run", ({ data }) => {
    const event = JSON.parse(data);
    const isNewStatus = event.status !== undefined && event.status !== model.byId(event.run)?.status;
    if (model.apply(event)) changed.add(event.run);
    if (isNewStatus) void loadList();
    scheduleCharts();
  });
}

function scheduleCharts() {
  if (chartTimer || document.hidden || !changed.size) return;
  chartTimer = setTimeout(() => {
    chartTimer = undefined;
    const ids = new Set(changed);
    changed.clear();
    model.announcePoints(ids);
    scheduleList();
  }, CHARTS_MILLIS);
}

/** New points may belong to new series and change the metadata of a run, so the list is fetched again, but less often. */
function scheduleList() {
  listTimer ??= setTimeout(loadList, Math.max(0, listedAt + LIST_MILLIS - performance.now()));
}

async function loadList() {
  clearTimeout(listTimer);
  listTimer = undefined;
  listedAt = performance.now();
  try {
    await model.load();
  } catch {
    // The banner shows that the server is unreachable, and the stream reconnects.
  }
}
