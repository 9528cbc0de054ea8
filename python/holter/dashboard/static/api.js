// The one file that speaks to the server. An answer that is no answer becomes an `ApiError`; whether the server can be
// reached at all is told to whoever listens.

const ROOT = "/api/v1";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status; // 0: no answer at all
  }
}

class Connection extends EventTarget {
  isLost = false;

  /** Notes whether the server answered; tells only what is new. */
  note(isLost) {
    if (isLost === this.isLost) return;
    this.isLost = isLost;
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();

async function ask(path, options = {}) {
  let response = null;
  try {
    response = await fetch(`${ROOT}${path}`, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    connection.note(true);
    throw new ApiError("the server does not answer", 0);
  }
  connection.note(false);
  if (response.status === 304) return { response, body: null };
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(body?.error?.message ?? `the server answered ${response.status}`, response.status);
  return { response, body };
}

async function post(path, content) {
  const headers = { "content-type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(content) })).body;
}

/** Query parameters, repeated where a value is a list. */
export function query(parameters) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) for (const one of [value].flat()) words.append(name, one);
  return words.toString();
}

export async function fetchRuns() {
  return (await ask("/runs")).body;
}

const known = new Map();

/** The series of a run; the list is sent only when it has changed since the last time. */
export async function fetchSeries(run) {
  const before = known.get(run);
  const headers = before?.tag ? { "if-none-match": before.tag } : {};
  const { response, body } = await ask(`/series?${query({ run })}`, { headers });
  if (body === null) return { series: before.series, isNew: false };
  known.set(run, { tag: response.headers.get("etag"), series: body.series });
  return { series: body.series, isNew: true };
}

export async function fetchOverview(runs) {
  return (await ask(`/overview?${query({ run: runs })}`)).body.charts;
}

export async function fetchFigures(charts, view, theme) {
  return (await post("/figures", { charts, view, theme })).figures;
}

export function fetchTable(content) {
  return post("/table", content);
}

export function fetchComparison(content) {
  return post("/compare", content);
}

/** Where a file can be had. */
export function downloadUrl(name, parameters) {
  return `${ROOT}/${name}?${query(parameters)}`;
}

export function openLive(runs) {
  return new EventSource(`${ROOT}/live?${query({ run: runs })}`);
}
