// @ts-check
// Sorts the columns of a comparison by one of its rows. Pure.

/** @typedef {import("./api.js").Comparison} Comparison */

/**
 * Returns the indices of the runs, sorted by the row with this label. Cells without a number come last.
 *
 * @param {Comparison} comparison
 * @param {{label: string | null, isDescending: boolean}} order
 */
export function sortedColumns(comparison, { label, isDescending }) {
  const columns = comparison.runs.map((_, index) => index);
  const row = comparison.rows.find((candidate) => candidate.label === label);
  if (!row) return columns;
  const numbers = row.cells.map(({ value, text }) => (typeof value === "number" && value) || Number.parseFloat(text));
  const sign = isDescending ? -1 : 1;
  return columns.sort((left, right) => {
    const [one, other] = [numbers[left], numbers[right]];
    if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
    return sign * (one - other);
  });
}
