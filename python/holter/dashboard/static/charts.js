// @ts-check
// Draws the visible charts. A card requests its figure when it gets near the viewport and is erased when it leaves it. All cards
// that request one in the same frame share a request to the server, and recent figures are cached.

import { ApiError, fetchFigures, messageOf } from "./api.js";
import { splitIntoChunks } from "./batches.js";
import { model } from "./model.js";
import { isPlotlyRequested, loadPlotly } from "./plot.js";
import { store } from "./state.js";
import { currentTheme } from "./theme.js";

/**
 * @typedef {import("./card.js").Card} Card
 * @typedef {import("./api.js").RequestedChart} RequestedChart
 * @typedef {{card: Card, request: RequestedChart, signature: string}} Entry
 * @typedef {import("./plot.js").Answer} Answer
 */

const NEAR = "150px 0px";
const MAX_PIXELS = 4000;
const MAX_CACHED_FIGURES = 96;

/** @type {WeakMap<Element, Card>} the card of each `.card` element and of its plot */
export const cardOf = new WeakMap();

/** @type {Set<Card>} */
const visible = new Set();
/** @type {Set<Card>} */
const pending = new Set();
/** @type {Map<string, Answer>} by signature, the most recently fetched last */
const figures = new Map();
let isScheduled = false;

const viewportObserver = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const card = cardOf.get(target);
      if (card) (isIntersecting ? show : hide)(card);
    }
  },
  { rootMargin: NEAR },
);

/** Redraws charts whose size has changed. */
const sizeObserver = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const card = cardOf.get(target);
    const { width, height } = card?.box.layout ?? {};
    if (!card || !width || (width === target.clientWidth && height === target.clientHeight)) continue;
    card.signature = null;
    request(card);
  }
});

/** Returns the visible cards in the page's order. */
export function visibleCards() {
  return [...visible].sort((left, right) =>
    left.element.compareDocumentPosition(right.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1,
  );
}

/**
 * Draws a card whenever it is visible.
 *
 * @param {Card} card
 */
export function watch(card) {
  viewportObserver.observe(card.element);
  sizeObserver.observe(card.plot);
}

/**
 * Stops drawing a card and erases it.
 *
 * @param {Card} card
 */
export function unwatch(card) {
  viewportObserver.unobserve(card.element);
  sizeObserver.unobserve(card.plot);
  hide(card);
}

/** @param {Card} card */
function show(card) {
  visible.add(card);
  request(card);
}

/** @param {Card} card */
function hide(card) {
  visible.delete(card);
  pending.delete(card);
  card.erase();
}

/**
 * Updates a card in the next frame.
 *
 * @param {Card} card
 */
export function request(card) {
  pending.add(card);
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    void update([...pending].filter((candidate) => visible.has(candidate)));
    pending.clear();
  });
}

/**
 * Updates the visible cards, or those of them that show one of these runs.
 *
 * @param {Set<string> | null} [ids]
 */
export function refresh(ids = null) {
  for (const card of visible) if (ids === null || card.runs().some((id) => ids.has(id))) request(card);
}

/** @param {Card[]} cards */
async function update(cards) {
  if (!cards.length) return;
  const px = Math.min(MAX_PIXELS, Math.max(...cards.map((card) => Math.ceil(card.plot.clientWidth / 50) * 50), 200));
  const theme = currentTheme();
  /** @type {Map<string, Entry[]>} */
  const entriesByView = new Map();
  for (const card of cards) {
    const chart = card.request();
    if (!chart) continue;
    const view = { ...sharedView(px), ...card.ownView() };
    const signature = JSON.stringify([chart, view, theme, card.runs().map((id) => model.byId(id)?.revision)]);
    if (card.signature === signature) continue;
    card.signature = signature;
    const cached = figures.get(signature);
    if (cached) {
      void draw(card, signature, cached);
      continue;
    }
    const key = JSON.stringify(view);
    entriesByView.set(key, [...(entriesByView.get(key) ?? []), { card, request: chart, signature }]);
    card.setState("loading");
  }
  await Promise.all([...entriesByView].map(([view, entries]) => fetchAll(JSON.parse(view), entries, theme)));
}

/** @param {number} px */
function sharedView(px) {
  const { start, stop, x, smooth, log, trim, marks } = store.now;
  return { px, start, stop, x, half_life: smooth, log_y: log, trim, marks: marks === "on" };
}

/**
 * Fetches and draws charts in chunks. The first chunk has the smallest charts. Once plotly.js is there, the other chunks are
 * requested after the first answer, so that they don't slow it down. Before, they are requested at the same time: nothing can be
 * drawn while the browser compiles plotly.js, but the server can already render.
 *
 * @param {object} view
 * @param {Entry[]} entries
 * @param {string} theme
 */
async function fetchAll(view, entries, theme) {
  const [first, ...others] = splitIntoChunks(entries);
  const answers = fetchChunk(view, first, theme);
  const drawn = answers.then(drawAll);
  if (isPlotlyRequested()) await answers;
  const rest = others.map((chunk) => fetchChunk(view, chunk, theme).then(drawAll));
  loadPlotly().catch(() => null); // The cards report the error.
  await Promise.all([drawn, ...rest]);
}

/**
 * Fetches the figures of a chunk. Cards whose figure cannot be fetched show the error.
 *
 * @param {object} view
 * @param {Entry[]} chunk
 * @param {string} theme
 * @returns {Promise<{entry: Entry, answer: Answer}[]>}
 */
async function fetchChunk(view, chunk, theme) {
  try {
    // Different cards may have the same key, so their index identifies them.
    const charts = chunk.map((entry, index) => ({ ...entry.request, key: String(index) }));
    const answers = await fetchFigures(charts, view, theme);
    return answers.map((answer) => ({ entry: chunk[Number(answer.key)], answer }));
  } catch (error) {
    // One invalid chart must not prevent the others.
    if (error instanceof ApiError && error.status === 400 && chunk.length > 1) {
      return (await Promise.all(chunk.map((entry) => fetchChunk(view, [entry], theme)))).flat();
    }
    for (const { card, signature } of chunk) if (card.signature === signature) card.fail(messageOf(error));
    return [];
  }
}

/** @param {{entry: Entry, answer: Answer}[]} answers */
async function drawAll(answers) {
  for (const { entry, answer } of answers) {
    cache(entry.signature, answer);
    await draw(entry.card, entry.signature, answer);
  }
}

/**
 * @param {string} signature
 * @param {Answer} answer
 */
function cache(signature, answer) {
  figures.set(signature, answer);
  for (const oldest of figures.keys()) {
    if (figures.size <= MAX_CACHED_FIGURES) break;
    figures.delete(oldest);
  }
}

/**
 * @param {Card} card
 * @param {string} signature
 * @param {Answer} answer
 */
async function draw(card, signature, answer) {
  if (card.signature !== signature || !visible.has(card)) return;
  try {
    if (answer.error) card.fail(answer.error);
    else await card.draw(answer);
  } catch (error) {
    card.fail(messageOf(error));
  }
  // Lets the browser paint and handle input between two charts.
  await new Promise((resume) => setTimeout(resume));
}
