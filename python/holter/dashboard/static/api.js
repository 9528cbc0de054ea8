// @ts-check
// The HTTP API of the server. Failed requests throw an `ApiError`; `connection` tracks whether the server can be reached.

/**
 * @typedef {object} Run
 * @property {string} id path relative to the folder of runs
 * @property {string} name
 * @property {number} color index into the palette
 * @property {string} status running, or how the run ended
 * @property {boolean} is_live
 * @property {string} revision opaque version token that changes whenever the run has new points
 * @property {string | null} created
 * @property {string | null} finished
 * @property {number | null} last_step
 * @property {number} series number of series
 * @property {number} points
 * @property {number} nonfinite_series number of series with NaN or infinite values
 * @property {number} dropped
 * @property {string[]} tags
 * @property {Record<string, unknown>} config
 * @property {object[]} attempts
 * @property {number | null} steps_per_second
 * @property {number | null} total_steps
 * @property {number | null} eta_seconds
 * @property {number | null} last_point_age_seconds
 * @property {string[]} command_line
 * @property {unknown} git
 * @property {string | null} host
 * @property {unknown} versions
 */

/** @typedef {[name: string, points: number, nonfinite: number, firstStep: number, lastStep: number, last: number | string]} SeriesRow */

/**
 * @typedef {object} RequestedChart
 * @property {string} key
 * @property {string} kind line, band, heatmap, latest or speed
 * @property {string} [band] std, minmax or quantile
 * @property {string[]} names
 * @property {{label: string, color: number, runs: string[]}[]} groups
 * @property {{y: number, label: string}[]} [thresholds]
 * @property {boolean} [change_points]
 */

/**
 * @typedef {object} FigureAnswer
 * @property {string} key
 * @property {{data: object[], layout: object}} figure
 * @property {string} note
 * @property {number} width how many steps a point covers
 * @property {string} [error] why there is no figure
 */

/** @typedef {{key: string, title: string, kind: string, names: string[]}} OverviewChart */

/**
 * @typedef {object} Comparison
 * @property {string[]} runs
 * @property {ComparisonRow[]} rows
 * @property {string[]} notes
 * @property {string} markdown
 * @property {string} latex
 * @property {string} csv
 */

/**
 * @typedef {object} ComparisonRow
 * @property {string} label
 * @property {string} help
 * @property {number[]} best indices of the best cells
 * @property {{text: string, value: number | string | null, note: string}[]} cells
 */

/** @typedef {{rows: [run: string, name: string, step: number, value: number | string, timestamp: string][], total: number}} Table */

const ROOT = "/api/v1";

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 if the server could not be reached
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Fires `change` when the server becomes unreachable or reachable. */
class Connection extends EventTarget {
  isLost = false;

  /** @param {boolean} isLost */
  update(isLost) {
    if (isLost === this.isLost) return;
    this.isLost = isLost;
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<{response: Response, body: any}>}
 */
async function send(path, options = {}) {
  let response = null;
  try {
    response = await fetch(`${ROOT}${path}`, { credentials: "same-origin", ...options });
  } catch {
    connection.update(true);
    throw new ApiError("cannot reach the server", 0);
  }
  connection.update(false);
  if (response.status === 304) return { response, body: null };
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(body?.error?.message ?? `the server returned status ${response.status}`, response.status);
  return { response, body };
}

/**
 * @param {string} path
 * @param {object} content
 */
async function post(path, content) {
  const headers = { "content-type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(content) })).body;
}

/**
 * Formats query parameters. Lists become repeated parameters.
 *
 * @param {Record<string, string | string[]>} parameters
 */
export function query(parameters) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) for (const item of [value].flat()) words.append(name, item);
  return words.toString();
}

/** @returns {Promise<{root: string, runs: Run[], problems: {path: string, reason: string}[]}>} */
export async function fetchRuns() {
  return (await send("/runs")).body;
}

/** @type {Map<string, {tag: string | null, series: SeriesRow[]}>} */
const cachedSeries = new Map();

/**
 * Fetches the series of a run. The server sends the list only if it has changed since the last request.
 *
 * @param {string} run
 * @returns {Promise<SeriesRow[]>}
 */
export async function fetchSeries(run) {
  const cached = cachedSeries.get(run);
  const { response, body } = await send(`/series?${query({ run })}`, { headers: cached?.tag ? { "if-none-match": cached.tag } : {} });
  if (body === null && cached) return cached.series;
  cachedSeries.set(run, { tag: response.headers.get("etag"), series: body.series });
  return body.series;
}

/**
 * @param {string[]} runs
 * @returns {Promise<OverviewChart[]>}
 */
export async function fetchOverview(runs) {
  return (await send(`/overview?${query({ run: runs })}`)).body.charts;
}

/**
 * @param {RequestedChart[]} charts
 * @param {object} view
 * @param {string} theme
 * @returns {Promise<FigureAnswer[]>}
 */
export async function fetchFigures(charts, view, theme) {
  return (await post("/figures", { charts, view, theme })).figures;
}

/**
 * @param {object} content
 * @returns {Promise<Table>}
 */
export function fetchTable(content) {
  return post("/table", content);
}

/**
 * @param {object} content
 * @returns {Promise<Comparison>}
 */
export function fetchComparison(content) {
  return post("/compare", content);
}

/**
 * @param {string} name
 * @param {Record<string, string | string[]>} parameters
 */
export function downloadUrl(name, parameters) {
  return `${ROOT}/${name}?${query(parameters)}`;
}

/** @param {string[]} runs */
export function openEventStream(runs) {
  return new EventSource(`${ROOT}/live?${query({ run: runs })}`);
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
