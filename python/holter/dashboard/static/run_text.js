// @ts-check
// Texts about the progress and the health of a run. Pure.

import { count, counted, duration, value } from "./format.js";

/** @typedef {import("./api.js").Run} Run */

/** @param {Run} run */
export function progressText(run) {
  if (run.last_step === null) return "no steps yet";
  return `step ${count(run.last_step)}${run.total_steps ? ` of ${count(run.total_steps)}` : ""}`;
}

/**
 * Returns how much of a run is done, from 0 to 1; null if its length is unknown.
 *
 * @param {Run} run
 */
export function progressOf(run) {
  if (!run.total_steps) return null;
  return Math.min(1, Math.max(0, ((run.last_step ?? -1) + 1) / run.total_steps));
}

/**
 * @param {Run} run
 * @param {number | null} age seconds since the last point
 */
export function paceText(run, age) {
  const parts = [];
  if (run.steps_per_second) parts.push(`${value(Number(run.steps_per_second.toPrecision(3)))} steps/s`);
  if (run.is_live && run.eta_seconds !== null) parts.push(`${duration(run.eta_seconds)} left`);
  if (run.is_live && age !== null) parts.push(`last point ${duration(age)} ago`);
  if (!run.is_live && run.finished) parts.push(`took ${duration((Date.parse(run.finished) - Date.parse(run.created ?? "")) / 1000)}`);
  return parts.join(" · ");
}

/**
 * Returns a text about the problems of a run; empty if there are none.
 *
 * @param {Run} run
 */
export function problemText(run) {
  const parts = [];
  if (run.dropped) parts.push(`${counted(run.dropped, "point")} dropped`);
  if (run.nonfinite_series) parts.push(`NaN/Inf in ${count(run.nonfinite_series)} of ${count(run.series)} series`);
  if (run.attempts.length > 1) parts.push(counted(run.attempts.length, "attempt"));
  return parts.join(" · ");
}
