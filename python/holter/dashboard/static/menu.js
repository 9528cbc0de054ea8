// What can be done with one chart. The menu is one popover for all cards: Escape and a click elsewhere close it.

import { downloadUrl } from "./api.js";
import { picture, request } from "./charts.js";
import { plotCommand } from "./command.js";
import { copy, download, element, fill, icon } from "./dom.js";
import { TOGETHER } from "./families.js";
import { count } from "./format.js";
import { model } from "./model.js";
import { keyed, store, toggled } from "./state.js";
import { openTable } from "./table.js";

const MAX_LINK = 8000; // characters of an address that every server takes

let popover = null;

export function openMenu(card) {
  popover ??= document.getElementById("menu");
  popover.setAttribute("aria-label", `chart ${card.spec.key}`);
  fill(popover, ...items(card), thresholdForm(card));
  // A dialog makes inert what is outside of it.
  const parent = card.element.closest("dialog") ?? document.body;
  if (popover.parentElement !== parent) parent.append(popover);
  popover.togglePopover(true);
  const anchor = card.more.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  popover.style.left = `${Math.max(4, Math.min(anchor.right - width, innerWidth - width - 4))}px`;
  popover.style.top = `${Math.max(4, Math.min(anchor.bottom + 4, innerHeight - height - 4))}px`;
  popover.querySelector("button").focus();
}

function items(card) {
  const { key } = card.spec;
  const isLog = card.log ?? store.now.log;
  const partner = partnerOf(card.spec);
  return [
    item("enlarge", "Full screen", () => card.element.dispatchEvent(new CustomEvent("enlarge", { bubbles: true }))),
    item("table", "Values as a table", () => openTable(card)),
    item("log", "Logarithmic", () => setLog(card, !isLog), isLog),
    item("change", "Mark change points", () => store.set({ change: toggled(store.now.change, key) }), store.now.change.includes(key)),
    partner && item("pin", `Pin together with ${partner}`, () => store.set({ pin: toggled(store.now.pin, `${key}${TOGETHER}${partner}`) })),
    item("copy", "Copy the holter plot command", () => copy(plotCommand(card), "command")),
    item("download", "Download CSV", () => downloadValues(card)),
    item("image", "Download PNG", () => downloadPicture(card, "png")),
    item("image", "Download SVG", () => downloadPicture(card, "svg")),
  ];
}

function item(symbol, text, act, isOn = null) {
  const attributes = isOn === null ? {} : { "aria-pressed": String(isOn) };
  const click = () => {
    popover.hidePopover();
    act();
  };
  return element("button", { type: "button", class: "item", on: { click }, ...attributes }, icon(symbol), element("span", { text }));
}

function setLog(card, isLog) {
  card.log = isLog === store.now.log ? null : isLog;
  request(card);
}

/** The series of the same name under val/ for one under train/, and the other way round. */
function partnerOf({ key, isFamily }) {
  if (isFamily) return null;
  const pairs = { "train/": "val/", "val/": "train/" };
  for (const [mine, others] of Object.entries(pairs)) {
    const partner = key.startsWith(mine) ? others + key.slice(mine.length) : null;
    if (partner && model.names.has(partner)) return partner;
  }
  return null;
}

function thresholdForm(card) {
  const { key } = card.spec;
  const mine = keyed(store.now.line).get(key) ?? [];
  const input = element("input", { type: "number", step: "any", required: true, "aria-label": "threshold", placeholder: "threshold" });
  const add = element("button", { type: "submit", text: "Add line" });
  const submit = (event) => {
    event.preventDefault();
    popover.hidePopover();
    store.set({ line: [...store.now.line, `${Number(input.value)}:${key}`] });
  };
  const remove = mine.map((y) =>
    item("close", `Remove the line at ${y}`, () => store.set({ line: store.now.line.filter((word) => word !== `${y}:${key}`) })),
  );
  return element("div", { class: "thresholds" }, ...remove, element("form", { on: { submit } }, input, add));
}

function downloadValues(card) {
  const url = downloadUrl("export.csv", { run: card.runs(), name: card.spec.names });
  if (url.length <= MAX_LINK) download("", url);
  else openTable(card, `these are ${count(card.spec.names.length)} series: holter export writes them all to a file`);
}

async function downloadPicture(card, format) {
  const name = card.spec.key.replace(/[^\w.-]+/g, "_").slice(0, 80);
  download(`${name}.${format}`, await picture(card.box, format));
}
