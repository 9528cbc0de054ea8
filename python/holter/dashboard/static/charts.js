// Draws charts, and only those that can be seen: a card asks for its figure when it comes near the viewport, all that come in
// one frame ask together, and a card that has gone is emptied again. What has been fetched and is still true is not fetched twice.

import { fetchFigures } from "./api.js";
import { element, announce } from "./dom.js";
import { cardLayout, decode } from "./figure.js";
import { model } from "./model.js";
import { store } from "./state.js";
import { resolvedTheme } from "./theme.js";

const NEAR = "150px 0px";
const MAX_CHARTS = 64;
const MAX_NAMES = 500; // of one request, which the server allows many more of: several are made at a time
const MAX_CHARACTERS = 400_000; // of names: with all else the body stays well below the server's 1 MB
const KEPT_FIGURES = 96;
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false, showTips: false };

const visible = new Set();
const pending = new Set();
const figures = new Map(); // signature -> answer, the most recently used last
let isScheduled = false;

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) show(target.card);
      else hide(target.card);
    }
  },
  { rootMargin: NEAR },
);

/** Draws a chart anew whose place has another size than it was drawn for. */
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const { card } = target.closest(".card");
    const { width, height } = card.box.layout ?? {};
    if (!width || (width === target.clientWidth && height === target.clientHeight)) continue;
    card.signature = null;
    request(card);
  }
});

/** Cards that are drawn or about to be, in the page's order. */
export function visibleCards() {
  return [...visible].sort((left, right) =>
    left.element.compareDocumentPosition(right.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1,
  );
}

/** From now on the card is drawn whenever it is in view. */
export function watch(card) {
  observer.observe(card.element);
  sizes.observe(card.plot);
}

/** The card goes for good. */
export function forget(card) {
  observer.unobserve(card.element);
  sizes.unobserve(card.plot);
  hide(card);
}

function show(card) {
  visible.add(card);
  request(card);
}

function hide(card) {
  visible.delete(card);
  pending.delete(card);
  card.purge();
}

/** Brings one card up to date in the next frame. */
export function request(card) {
  pending.add(card);
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    void bringUpToDate([...pending].filter((one) => visible.has(one)));
    pending.clear();
  });
}

/** Brings the visible cards up to date, or those of them that show one of these runs. */
export function refresh(ids = null) {
  for (const card of visible) if (ids === null || card.runs().some((id) => ids.has(id))) request(card);
}

async function bringUpToDate(cards) {
  if (!cards.length) return;
  const px = Math.min(4000, Math.max(...cards.map((card) => Math.ceil(card.plotWidth() / 50) * 50), 200));
  const theme = resolvedTheme();
  const batches = new Map();
  for (const card of cards) {
    const wanted = card.request();
    if (!wanted) continue;
    const view = { ...currentView(px), ...card.ownView() };
    const signature = JSON.stringify([wanted, view, theme, card.runs().map((id) => model.byId(id)?.revision)]);
    if (card.signature === signature) continue;
    card.signature = signature;
    if (figures.has(signature)) void draw(card, signature, figures.get(signature));
    else addTo(batches, JSON.stringify(view), { card, wanted, signature });
  }
  await Promise.all([...batches].map(([view, entries]) => fetchBatch(JSON.parse(view), entries, theme)));
}

function addTo(batches, view, entry) {
  if (!batches.has(view)) batches.set(view, []);
  batches.get(view).push(entry);
  entry.card.setState("loading");
}

function currentView(px) {
  const { start, stop, x, smooth, log, trim, marks } = store.now;
  return { px, start, stop, x, half_life: smooth, log_y: log, trim, marks: marks === "on" };
}

/**
 * Charts of few series are there first: they do not share the server with those of many. Nothing can be drawn until plotly.js
 * is compiled, which keeps the page from doing anything else: the server makes all figures meanwhile.
 */
async function fetchBatch(view, entries, theme) {
  const [first, ...others] = chunks(entries.toSorted((left, right) => left.wanted.names.length - right.wanted.names.length));
  let goOn;
  const isFetched = new Promise((resolve) => (goOn = resolve));
  const drawn = fetchChunk(view, first, theme, goOn);
  if (plotly) await isFetched;
  const rest = others.map((chunk) => fetchChunk(view, chunk, theme));
  loadPlotly().catch(() => null); // A failure is told by the first chart.
  await Promise.all([drawn, ...rest]);
}

async function fetchChunk(view, chunk, theme, whenFetched = () => {}) {
  let answers = [];
  try {
    // Keys are the user's names: two cards may share one, their places are unique.
    const charts = chunk.map(({ wanted }, place) => ({ ...wanted, key: String(place) }));
    answers = await fetchFigures(charts, view, theme);
  } catch (error) {
    whenFetched();
    // One request that does not fit must not take the others with it.
    if (error.status === 400 && chunk.length > 1) await Promise.all(chunk.map((entry) => fetchChunk(view, [entry], theme)));
    else for (const { card, signature } of chunk) if (card.signature === signature) card.fail(error.message);
    return;
  }
  whenFetched();
  for (const answer of answers) {
    const { card, signature } = chunk[Number(answer.key)];
    remember(signature, answer);
    await draw(card, signature, answer);
  }
}

/** Requests of not too many names each, and as few as that allows. */
function chunks(entries) {
  const result = [];
  let [names, characters] = [0, 0];
  for (const entry of entries) {
    const size = entry.wanted.names.length;
    const length = entry.wanted.names.reduce((sum, name) => sum + name.length, 0);
    const fits = names + size <= MAX_NAMES && characters + length <= MAX_CHARACTERS;
    if (!result.length || result.at(-1).length === MAX_CHARTS || !fits) {
      result.push([]);
      [names, characters] = [0, 0];
    }
    result.at(-1).push(entry);
    names += size;
    characters += length;
  }
  return result;
}

function remember(signature, answer) {
  figures.set(signature, answer);
  if (figures.size > KEPT_FIGURES) figures.delete(figures.keys().next().value);
}

async function draw(card, signature, answer) {
  if (card.signature !== signature || !visible.has(card)) return;
  if (answer.error) card.fail(answer.error);
  else await card.draw(answer);
  // Give the browser a chance to paint and to hear the user between two charts.
  await new Promise((resume) => setTimeout(resume));
}

let plotly = null;

/** Loads plotly.js, once: not with the page, which would then wait for its 4.8 MB, but while the first figures are made. */
export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: "/static/plotly.min.js", async: true });
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", () => {
      plotly = null;
      script.remove();
      reject(new Error("plotly.js could not be loaded"));
    });
    document.head.append(script);
  });
  return plotly;
}

/** Draws an answer of the server into a box; returns the traces. */
export async function drawInto(box, answer, kind) {
  const { data, layout } = (answer.decoded ??= decode(answer.figure));
  const Plotly = await loadPlotly();
  if (!box.isConnected) return [];
  await Plotly.react(box, data, cardLayout(layout, box.clientWidth, box.clientHeight, kind), CONFIG);
  return data;
}

export function erase(box) {
  if (box.data) globalThis.Plotly.purge(box);
}

/** The picture of a drawn box as a data URL. */
export async function picture(box, format) {
  const Plotly = await loadPlotly();
  const background = getComputedStyle(document.documentElement).getPropertyValue("--card");
  const layout = { ...box.layout, paper_bgcolor: background, showlegend: true };
  const size = { width: box.clientWidth, height: box.clientHeight };
  try {
    return await Plotly.toImage({ data: box.data, layout }, { format, ...size, scale: format === "png" ? 2 : 1 });
  } catch (error) {
    announce("the picture could not be made");
    throw error;
  }
}
