// @ts-check
// Arranges series into charts and sections. Pure.
//
// Series whose names differ only in one number, such as `attention_entropy/layer_0` to `layer_11`, are a family and share a
// chart. That number is the layer's, or if there is none, the first number that is a separate part of the name.

import { natural } from "./format.js";

/**
 * @typedef {object} ChartSpec
 * @property {string} key identifies the chart in the page and in the URL
 * @property {string} title
 * @property {string[]} names its series
 * @property {string} section
 * @property {boolean} isFamily
 */

/** @typedef {{name: string, charts: ChartSpec[]}} SectionSpec */

const LAYER = /((?:^|[/._])(?:layers?|blocks?|h)[._])(\d+)(?=$|[/._-])/;
const NUMBER = /(^|[/._-])(\d+)(?=$|[/._-])/;

/** Larger families get one chart for each member: a request for all of them would exceed the server's limit. */
export const MAX_MEMBERS = 1000;

/** Separates the names of series that are pinned as one chart. */
export const SEPARATOR = " + ";

/**
 * Returns the name with its number replaced by `*`; null if it has no number.
 *
 * @param {string} name
 */
export function familyPattern(name) {
  for (const expression of [LAYER, NUMBER]) {
    const found = expression.exec(name);
    if (found) {
      const start = found.index + found[1].length;
      return `${name.slice(0, start)}*${name.slice(start + found[2].length)}`;
    }
  }
  return null;
}

/**
 * Returns the part of a name before the first "/".
 *
 * @param {string} name
 */
function sectionOf(name) {
  const end = name.indexOf("/");
  return end > 0 ? name.slice(0, end) : "";
}

/**
 * @param {string} key
 * @param {string[]} names
 * @param {string} section
 * @returns {ChartSpec}
 */
function chart(key, names, section) {
  const title = section && key.startsWith(`${section}/`) ? key.slice(section.length + 1) : key;
  return { key, title, names, section, isFamily: names.length > 1 };
}

/**
 * Returns the sections of these series, train and val first, each with its charts in natural order.
 *
 * @param {string[]} names
 * @returns {SectionSpec[]}
 */
export function sectionsOf(names) {
  /** @type {Map<string, string[]>} */
  const patterns = new Map();
  for (const name of names) append(patterns, familyPattern(name) ?? name, name);
  /** @type {Map<string, ChartSpec[]>} */
  const sections = new Map();
  for (const [pattern, members] of patterns) {
    const isFamily = members.length > 1 && members.length <= MAX_MEMBERS;
    const charts = isFamily ? [{ key: pattern, of: members.sort(natural) }] : members.map((name) => ({ key: name, of: [name] }));
    for (const { key, of } of charts) append(sections, sectionOf(key), chart(key, of, sectionOf(key)));
  }
  return [...sections]
    .map(([name, charts]) => ({ name, charts: charts.sort((left, right) => natural(left.key, right.key)) }))
    .sort((left, right) => rank(left.name) - rank(right.name) || natural(left.name, right.name));
}

/** @param {string} section */
function rank(section) {
  const first = ["train", "val"].indexOf(section);
  if (first >= 0) return first;
  return section === "" ? 3 : 2;
}

/**
 * @template T
 * @param {Map<string, T[]>} lists
 * @param {string} key
 * @param {T} item
 */
function append(lists, key, item) {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

/**
 * Returns the chart for a pinned key: the name of a series, several names, or the pattern of a family; null if none of its
 * series are among `names`.
 *
 * @param {string} key
 * @param {Map<string, unknown>} names
 */
export function pinnedChart(key, names) {
  if (names.has(key)) return chart(key, [key], "");
  const several = key.split(SEPARATOR);
  if (several.length > 1 && several.every((name) => names.has(name))) return chart(key, several, "");
  const members = [...names.keys()].filter((name) => familyPattern(name) === key).sort(natural);
  return members.length ? chart(key, members.slice(0, MAX_MEMBERS), "") : null;
}

/**
 * Returns the series with the same name under val/ for one under train/, and vice versa; null if there is none.
 *
 * @param {ChartSpec} spec
 * @param {Map<string, unknown>} names
 */
export function partnerOf({ key, isFamily }, names) {
  if (isFamily) return null;
  const pairs = [["train/", "val/"], ["val/", "train/"]];
  for (const [prefix, other] of pairs) {
    const partner = key.startsWith(prefix) ? other + key.slice(prefix.length) : null;
    if (partner && names.has(partner)) return partner;
  }
  return null;
}
