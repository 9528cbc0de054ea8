// Which series belong together. Pure.
//
// A family is what differs in one number alone, as `attention_entropy/layer_0` to `layer_11`: it gets one chart. The
// number of a layer is preferred; without one it is the first number that stands for itself in the name.

import { natural } from "./format.js";

const LAYER = /((?:^|[/._])(?:layers?|blocks?|h)[._])(\d+)(?=$|[/._-])/;
const NUMBER = /(^|[/._-])(\d+)(?=$|[/._-])/;

/** More members than this are drawn one by one: a request for all of them would be beyond the server's limit. */
export const MAX_MEMBERS = 1000;

/** The name with its number replaced by `*`; null if it has none. */
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

/** The part of a name before the first "/", which is its section. */
export function sectionOf(name) {
  const end = name.indexOf("/");
  return end > 0 ? name.slice(0, end) : "";
}

/** A chart to be: `key` names it in the page and in the URL, `names` are its series. */
function chart(key, names, section) {
  const title = section && key.startsWith(`${section}/`) ? key.slice(section.length + 1) : key;
  return { key, title, names, section, isFamily: names.length > 1 };
}

/** Returns the sections `{name, charts}` of these series, train and val first, each with its charts in natural order. */
export function sectionsOf(names) {
  const patterns = new Map();
  for (const name of names) append(patterns, familyPattern(name) ?? name, name);
  const sections = new Map();
  for (const [pattern, members] of patterns) {
    const isFamily = members.length > 1 && members.length <= MAX_MEMBERS;
    const groups = isFamily ? [[pattern, members.sort(natural)]] : members.map((name) => [name, [name]]);
    for (const [key, of] of groups) {
      const section = sectionOf(key);
      append(sections, section, chart(key, of, section));
    }
  }
  const order = (name) => (name === "" ? 3 : ({ train: 0, val: 1 }[name] ?? 2));
  return [...sections]
    .map(([name, charts]) => ({ name, charts: charts.sort((left, right) => natural(left.key, right.key)) }))
    .sort((left, right) => order(left.name) - order(right.name) || natural(left.name, right.name));
}

function append(lists, key, item) {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

/** Between the names of series that are pinned as one chart. */
export const TOGETHER = " + ";

/** The chart of one pinned key: a family's pattern, a series' name, or several; null if none of `names` belongs to it. */
export function chartOf(key, names) {
  if (names.has(key)) return chart(key, [key], "");
  const several = key.split(TOGETHER);
  if (several.length > 1 && several.every((name) => names.has(name))) return chart(key, several, "");
  const members = [...names.keys()].filter((name) => familyPattern(name) === key).sort(natural);
  return members.length ? chart(key, members.slice(0, MAX_MEMBERS), "") : null;
}
