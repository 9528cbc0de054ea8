// Keeps the page up to date without asking: the server tells which runs have changed, and only then, at most once a second,
// the visible charts of these runs are fetched again.

import { connection, openLive } from "./api.js";
import { model } from "./model.js";
import { store } from "./state.js";

const PAUSE = 1000;
const LIST_PAUSE = 5000; // between two looks at the whole list while a run is going on

let source = null;
let watched = "";
let timer = 0;
let listTimer = 0;
let listedAt = 0;
const changed = new Set();

export function startLive() {
  model.addEventListener("runs", connect);
  store.follow(["run"], connect);
  document.addEventListener("visibilitychange", schedule);
  connect();
}

/** Listens to the runs that are drawn. */
function connect() {
  const ids = model.selected.map((run) => run.id);
  // Without any run there is still the list to be told of: a run that is not there is no error.
  const wanted = JSON.stringify(ids.length ? ids : [""]);
  if (wanted === watched && source?.readyState !== EventSource.CLOSED) return;
  watched = wanted;
  source?.close();
  source = openLive(JSON.parse(wanted));
  source.addEventListener("open", () => {
    const wasLost = connection.isLost;
    connection.note(false);
    if (wasLost) void list();
  });
  source.addEventListener("error", () => {
    connection.note(true);
    // A refused stream is not tried again by the browser.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
  source.addEventListener("runs", () => void list());
  source.addEventListener("gone", () => void list());
  source.addEventListener("run", ({ data }) => {
    const event = JSON.parse(data);
    const isOver = event.status !== undefined && event.status !== model.byId(event.run)?.status;
    if (model.follow(event)) changed.add(event.run);
    if (isOver) void list();
    schedule();
  });
}

function schedule() {
  if (timer || document.hidden || !changed.size) return;
  timer = setTimeout(() => {
    timer = 0;
    const ids = new Set(changed);
    changed.clear();
    model.tellPoints(ids);
    listSoon();
  }, PAUSE);
}

/** New points may be of new series, and change what is known of the run: looked at now and then, and after the last of them. */
function listSoon() {
  listTimer ||= setTimeout(list, Math.max(0, listedAt + LIST_PAUSE - performance.now()));
}

async function list() {
  clearTimeout(listTimer);
  listTimer = 0;
  listedAt = performance.now();
  try {
    await model.load();
  } catch {
    // The banner says that the server is gone, and the stream connects again by itself.
  }
}
