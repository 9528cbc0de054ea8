// @ts-check
// The runs and the series of the selected runs, as the server last sent them. Fires these events:
//
//   runs    the list of runs changed, or the metadata of a run
//   names   the series of the selected runs changed
//   points  runs have new points; `detail` is the set of their IDs
//   problem a run is gone or unreadable; `detail` is a message
//
// The series of a run are fetched once, and again whenever their number changes.

import { ApiError, fetchRuns, fetchSeries } from "./api.js";
import { differingKeys, groupRuns } from "./grouping.js";
import { store } from "./state.js";

/**
 * @typedef {import("./api.js").Run} Run
 * @typedef {import("./api.js").SeriesRow} SeriesRow
 */

const NEWEST = 8;

export class Model extends EventTarget {
  root = "";
  /** @type {Run[]} newest first */
  runs = [];
  /** @type {{path: string, reason: string}[]} */
  problems = [];
  isLoaded = false;
  /** @type {Map<string, {nonfinite: number}>} by the names of the series of the selected runs */
  names = new Map();
  /** @type {Map<string, number>} when the age of each run's last point was received, in milliseconds */
  #receivedAt = new Map();
  /** @type {Map<string, SeriesRow[]>} */
  #series = new Map();
  /** @type {Map<string, number>} */
  #seriesCounts = new Map();

  /** @param {string} id */
  byId(id) {
    return this.runs.find((run) => run.id === id);
  }

  get selected() {
    const chosen = store.now.run;
    if (chosen === null) return this.runs.slice(0, NEWEST);
    return this.runs.filter((run) => chosen.includes(run.id));
  }

  get groups() {
    return groupRuns(this.selected, store.now.group);
  }

  get differingKeys() {
    return differingKeys(this.runs);
  }

  /** Fetches the list of runs, and the series of selected runs that have more of them than before. */
  async load() {
    const gone = new Map(this.runs.map((run) => [run.id, run]));
    const { root, runs, problems } = await fetchRuns();
    this.root = root;
    this.problems = problems;
    this.runs = [...runs].sort((left, right) => ((left.created ?? "") < (right.created ?? "") ? 1 : -1));
    this.#receivedAt = new Map(runs.map((run) => [run.id, performance.now()]));
    this.isLoaded = true;
    for (const run of runs) gone.delete(run.id);
    this.#emit("runs");
    for (const run of gone.values()) this.#emit("problem", `${run.name} is gone: its files were moved or deleted`);
    await this.loadNames();
  }

  /** Fetches the series of the selected runs where they may have changed. */
  async loadNames() {
    const stale = this.selected.filter((run) => this.#seriesCounts.get(run.id) !== run.series);
    const results = await Promise.allSettled(stale.map((run) => fetchSeries(run.id)));
    results.forEach((result, index) => {
      const run = stale[index];
      if (result.status === "fulfilled") this.#series.set(run.id, result.value);
      else if (result.reason instanceof ApiError && result.reason.status) this.#emit("problem", `${run.name}: ${result.reason.message}`);
      else return; // The server could not be reached. The next load tries again.
      this.#seriesCounts.set(run.id, run.series);
    });
    this.#collectNames();
  }

  /**
   * Applies a live event. Returns whether the run has new points.
   *
   * @param {{run: string, revision: string, last_step: number | null}} event
   */
  apply({ run: id, revision, last_step: lastStep }) {
    const run = this.byId(id);
    if (!run || run.revision === revision) return false;
    Object.assign(run, { revision, last_step: lastStep, last_point_age_seconds: 0 });
    this.#receivedAt.set(id, performance.now());
    return true;
  }

  /** @param {Set<string>} ids */
  announcePoints(ids) {
    this.#emit("points", ids);
  }

  /**
   * Returns the seconds since the last point of a run; null if unknown.
   *
   * @param {Run} run
   */
  age(run) {
    const age = run.last_point_age_seconds ?? null;
    const receivedAt = this.#receivedAt.get(run.id) ?? performance.now();
    return age === null ? null : age + (performance.now() - receivedAt) / 1000;
  }

  /** @param {string} id */
  seriesOf(id) {
    return this.#series.get(id) ?? [];
  }

  #collectNames() {
    const names = new Map();
    for (const run of this.selected) {
      for (const [name, , nonfinite] of this.seriesOf(run.id)) {
        names.set(name, { nonfinite: (names.get(name)?.nonfinite ?? 0) + nonfinite });
      }
    }
    const isSame = names.size === this.names.size && [...names.keys()].every((name) => this.names.has(name));
    this.names = names;
    if (!isSame) this.#emit("names");
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

export const model = new Model();
