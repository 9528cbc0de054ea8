// @ts-check
// The values of a chart as a table, for screen readers and for reading exact numbers.

import { fetchTable, messageOf } from "./api.js";
import { byId, element, fill, iconButton } from "./dom.js";
import { count, localTime, value } from "./format.js";
import { store } from "./state.js";

const ROWS = 100;
const COLUMNS = ["run", "series", "step", "value", "time"];

/**
 * Opens the table of a card's values.
 *
 * @param {import("./card.js").Card} card
 * @param {string} [hint] shown until the rows are loaded
 */
export function openTable(card, hint = "") {
  const dialog = byId("table", HTMLDialogElement);
  const title = element("h2", { id: "table-title", text: card.spec.key });
  const status = element("p", { class: "quiet", role: "status", text: hint });
  const body = element("tbody");
  const head = element("tr", {}, ...COLUMNS.map((text) => element("th", { scope: "col", text })));
  const table = element("table", {}, element("thead", {}, head), body);
  const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "table-title" }, table);
  const previous = iconButton("left", "earlier rows", () => load(-ROWS));
  const next = iconButton("right", "later rows", () => load(ROWS));
  const close = iconButton("close", "close the table", () => dialog.close());
  fill(dialog, element("header", {}, title, previous, next, close), status, scroll);
  let offset = 0;

  /** @param {number} by */
  async function load(by) {
    offset += by;
    const [start, stop] = card.zoom ?? [store.now.start, store.now.stop];
    try {
      const { rows, total } = await fetchTable({ runs: card.runs(), names: card.spec.names, start, stop, limit: ROWS, offset });
      fill(body, ...rows.map(rowOf));
      status.textContent = `${count(total && offset + 1)} to ${count(offset + rows.length)} of ${count(total)} points`;
      previous.disabled = offset === 0;
      next.disabled = offset + rows.length >= total;
      scroll.scrollTop = 0;
    } catch (error) {
      status.textContent = messageOf(error);
    }
  }

  dialog.showModal();
  void load(0);
}

/** @param {import("./api.js").Table["rows"][number]} row */
function rowOf([run, name, step, number, timestamp]) {
  const texts = [run, name, count(step), value(number), localTime(timestamp)];
  return element("tr", {}, ...texts.map((text, index) => element("td", { text, class: index > 1 ? "number" : null })));
}
