// The values of a chart as a table: for whoever does not see the picture, or wants the numbers.

import { fetchTable } from "./api.js";
import { element, fill, iconButton } from "./dom.js";
import { count, moment, value } from "./format.js";
import { store } from "./state.js";

const ROWS = 100;

/** Opens the table of what a card shows; `hint` is said above it. */
export function openTable(card, hint = "") {
  const dialog = document.getElementById("table");
  const title = element("h2", { id: "table-title", text: card.spec.key });
  const status = element("p", { class: "quiet", role: "status", text: hint });
  const body = element("tbody");
  const columns = ["run", "series", "step", "value", "time"];
  const head = element("tr", {}, ...columns.map((text) => element("th", { scope: "col", text })));
  const table = element("table", {}, element("thead", {}, head), body);
  const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "table-title" }, table);
  const previous = iconButton("left", "earlier rows", () => turn(-ROWS));
  const next = iconButton("right", "later rows", () => turn(ROWS));
  const close = iconButton("close", "close the table", () => dialog.close());
  fill(dialog, element("header", {}, title, previous, next, close), status, scroll);
  let offset = 0;

  async function turn(by) {
    offset += by;
    const [start, stop] = card.zoom ?? [store.now.start, store.now.stop];
    try {
      const wanted = { runs: card.runs(), names: card.spec.names, start, stop, limit: ROWS, offset };
      const { rows, total } = await fetchTable(wanted);
      fill(body, ...rows.map(row));
      status.textContent = `${count(total && offset + 1)} to ${count(offset + rows.length)} of ${count(total)} points`;
      previous.disabled = offset === 0;
      next.disabled = offset + rows.length >= total;
      scroll.scrollTop = 0;
    } catch (error) {
      status.textContent = error.message;
    }
  }

  dialog.showModal();
  void turn(0);
}

function row([run, name, step, number, timestamp]) {
  const texts = [run, name, count(step), value(number), moment(timestamp)];
  return element("tr", {}, ...texts.map((text, index) => element("td", { text, class: index > 1 ? "number" : null })));
}
