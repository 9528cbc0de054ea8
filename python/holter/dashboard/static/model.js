// What the server has told so far: the runs, and the series of those that are selected. Announces
//
//   runs    the list of runs, or what is known of one, has changed
//   names   the series of the selected runs have changed
//   points  runs have new points; `detail` is the set of their ids
//   gone    a run that was shown is no longer there; `detail` is what to say of it
//
// Names are fetched once a run and then only when its number of series has changed.

import { fetchRuns, fetchSeries } from "./api.js";
import { differingKeys, groupRuns } from "./grouping.js";
import { store } from "./state.js";

const NEWEST = 8;

class Model extends EventTarget {
  root = "";
  runs = []; // the newest first
  problems = [];
  isLoaded = false;
  receivedAt = 0;
  /** name -> {nonfinite} over the selected runs */
  names = new Map();
  #series = new Map();
  #counts = new Map();

  byId(id) {
    return this.runs.find((run) => run.id === id);
  }

  /** The runs that are drawn. */
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

  /** Fetches the list of runs and, where runs have more series than before, their names. */
  async load() {
    const before = new Map(this.runs.map((run) => [run.id, run]));
    const { root, runs, problems } = await fetchRuns();
    this.root = root;
    this.problems = problems ?? [];
    this.runs = runs.toSorted((left, right) => (left.created < right.created ? 1 : -1));
    this.receivedAt = performance.now();
    this.isLoaded = true;
    for (const run of runs) before.delete(run.id);
    this.#tell("runs");
    for (const run of before.values()) this.#tell("gone", `${run.name} is gone: its files were moved or deleted`);
    await this.loadNames();
  }

  /** Fetches the names of the selected runs that are not known yet. */
  async loadNames() {
    const stale = this.selected.filter((run) => this.#counts.get(run.id) !== run.series);
    const answers = await Promise.allSettled(stale.map((run) => fetchSeries(run.id)));
    answers.forEach((answer, index) => {
      const run = stale[index];
      if (answer.status === "fulfilled") this.#series.set(run.id, answer.value.series);
      else if (answer.reason.status) this.#tell("gone", `${run.name}: ${answer.reason.message}`);
      else return; // No answer at all: it is asked again with the next list.
      this.#counts.set(run.id, run.series);
    });
    this.#gather();
  }

  /** Takes what a live event says of a run. */
  follow({ run: id, revision, last_step: lastStep }) {
    const run = this.byId(id);
    if (!run || run.revision === revision) return false;
    Object.assign(run, { revision, last_step: lastStep, last_point_age_seconds: 0, heardAt: performance.now() });
    return true;
  }

  tellPoints(ids) {
    this.#tell("points", ids);
  }

  /** Seconds since the last point of a run, as far as is known. */
  age(run) {
    if (run.last_point_age_seconds === null || run.last_point_age_seconds === undefined) return null;
    return run.last_point_age_seconds + (performance.now() - (run.heardAt ?? this.receivedAt)) / 1000;
  }

  seriesOf(id) {
    return this.#series.get(id) ?? [];
  }

  #gather() {
    const names = new Map();
    for (const run of this.selected) {
      for (const [name, , nonfinite] of this.seriesOf(run.id)) {
        names.set(name, { nonfinite: (names.get(name)?.nonfinite ?? 0) + nonfinite });
      }
    }
    const isSame = names.size === this.names.size && [...names.keys()].every((name) => this.names.has(name));
    this.names = names;
    if (!isSame) this.#tell("names");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

export const model = new Model();
