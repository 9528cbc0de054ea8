// @ts-check
// The menu of a chart. All cards share one popover, which Escape or a click outside closes.

import { toggled, valuesByKey } from "./address.js";
import { downloadUrl } from "./api.js";
import { request } from "./charts.js";
import { plotCommand } from "./command.js";
import { byId, copy, download, element, fill, icon } from "./dom.js";
import { SEPARATOR, partnerOf } from "./families.js";
import { count } from "./format.js";
import { model } from "./model.js";
import { imageOf } from "./plot.js";
import { store } from "./state.js";
import { openTable } from "./table.js";

/** @typedef {import("./card.js").Card} Card */

const MAX_URL_LENGTH = 8000;

const popover = byId("menu");

/** @param {Card} card */
export function openMenu(card) {
  popover.setAttribute("aria-label", `chart ${card.spec.key}`);
  fill(popover, ...items(card), thresholdForm(card));
  // A modal dialog makes everything outside it inert.
  const parent = card.element.closest("dialog") ?? document.body;
  if (popover.parentElement !== parent) parent.append(popover);
  popover.togglePopover(true);
  const anchor = card.more.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  popover.style.left = `${Math.max(4, Math.min(anchor.right - width, innerWidth - width - 4))}px`;
  popover.style.top = `${Math.max(4, Math.min(anchor.bottom + 4, innerHeight - height - 4))}px`;
  popover.querySelector("button")?.focus();
}

/** @param {Card} card */
function items(card) {
  const { key } = card.spec;
  const { change, pin } = store.now;
  const isLog = card.log ?? store.now.log;
  const partner = partnerOf(card.spec, model.names);
  return [
    item("enlarge", "Full screen", () => card.toggleFullScreen()),
    item("table", "Values as a table", () => openTable(card)),
    item("log", "Logarithmic", () => setLog(card, !isLog), isLog),
    item("change", "Mark change points", () => store.set({ change: toggled(change, key) }), change.includes(key)),
    partner && item("pin", `Pin together with ${partner}`, () => store.set({ pin: toggled(pin, `${key}${SEPARATOR}${partner}`) })),
    item("copy", "Copy the holter plot command", () => copy(commandFor(card), "command")),
    item("download", "Download CSV", () => downloadValues(card)),
    item("image", "Download PNG", () => downloadImage(card, "png")),
    item("image", "Download SVG", () => downloadImage(card, "svg")),
  ];
}

/**
 * @param {string} symbol
 * @param {string} text
 * @param {() => void} action
 * @param {boolean | null} [isOn] null for items that are not switches
 */
function item(symbol, text, action, isOn = null) {
  const attributes = isOn === null ? {} : { "aria-pressed": String(isOn) };
  const click = () => {
    popover.hidePopover();
    action();
  };
  return element("button", { type: "button", class: "item", on: { click }, ...attributes }, icon(symbol), element("span", { text }));
}

/**
 * @param {Card} card
 * @param {boolean} isLog
 */
function setLog(card, isLog) {
  card.log = isLog === store.now.log ? null : isLog;
  request(card);
}

/** @param {Card} card */
function thresholdForm(card) {
  const { key } = card.spec;
  const input = element("input", { type: "number", step: "any", required: true, "aria-label": "threshold", placeholder: "threshold" });
  const button = element("button", { type: "submit", text: "Add line" });
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    popover.hidePopover();
    store.set({ threshold: [...store.now.threshold, `${Number(input.value)}:${key}`] });
  };
  /** @param {string} y */
  const remove = (y) => store.set({ threshold: store.now.threshold.filter((word) => word !== `${y}:${key}`) });
  const values = valuesByKey(store.now.threshold).get(key) ?? [];
  const removals = values.map((y) => item("close", `Remove the line at ${y}`, () => remove(y)));
  return element("div", { class: "thresholds" }, ...removals, element("form", { on: { submit } }, input, button));
}

/** @param {Card} card */
function commandFor(card) {
  const { smooth, x, log } = store.now;
  const [start, stop] = card.zoom ?? [store.now.start, store.now.stop];
  const paths = card.runs().map((id) => [model.root, id].filter((part) => part && part !== ".").join("/"));
  const { spec, kind, mode } = card;
  return plotCommand({ paths, spec, kind, mode, view: { smooth, x, log: card.log ?? log, start, stop } });
}

/** @param {Card} card */
function downloadValues(card) {
  const { names } = card.spec;
  const url = downloadUrl("export.csv", { run: card.runs(), name: names });
  if (url.length <= MAX_URL_LENGTH) download("", url);
  else openTable(card, `Too many series for a download (${count(names.length)}). Use holter export to write them to a file.`);
}

/**
 * @param {Card} card
 * @param {"png" | "svg"} format
 */
async function downloadImage(card, format) {
  const name = card.spec.key.replace(/[^\w.-]+/g, "_").slice(0, 80);
  download(`${name}.${format}`, await imageOf(card.box, format));
}
