// @ts-check
// Sets up the page and connects its parts.

import { ApiError, connection } from "./api.js";
import { refresh } from "./charts.js";
import { renderCompare, setUpCompare } from "./compare.js";
import { renderDetails, setUpDetails } from "./details.js";
import { announce, byId, debounced, element, fill, setText } from "./dom.js";
import { count, duration } from "./format.js";
import { setUpFullScreen } from "./fullscreen.js";
import { setUpKeyboard, showHelp } from "./keyboard.js";
import { startLive } from "./live.js";
import { model } from "./model.js";
import { overviewCharts, renderOverview, setUpOverview, updateTiles } from "./overview.js";
import { cachePlotly } from "./plot.js";
import { renderRuns, setUpRuns } from "./runs.js";
import { renderSections, sectionSpecs, setUpSections } from "./sections.js";
import { isBarOpen, store, toggleBar } from "./state.js";
import { followTheme, toggleTheme } from "./theme.js";
import { setUpToolbar } from "./toolbar.js";

const RETRY_MILLIS = 2000;
const EXAMPLE = 'with holter.Logger("runs/run-1") as logger:\n    logger.log(step, "train/loss", loss)';

const tabButtons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("nav [data-tab]"));

function showTab() {
  const { tab } = store.now;
  for (const button of tabButtons) {
    const isCurrent = button.dataset.tab === tab;
    if (isCurrent) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
    byId(button.dataset.tab ?? "").hidden = !isCurrent;
  }
  byId("toolbar").hidden = tab !== "charts";
  document.body.classList.toggle("bar-closed", !isBarOpen());
  byId("bar-toggle").setAttribute("aria-expanded", String(isBarOpen()));
  void renderCompare();
}

function showCharts() {
  const isSearching = store.now.q.trim() !== "";
  if (model.selected.length && store.now.tab === "charts") void cachePlotly();
  const { found, error } = renderSections();
  byId("overview").hidden = isSearching;
  // While the overview is empty, the first sections would be in the viewport and their charts drawn needlessly.
  if (isSearching) byId("sections").hidden = false;
  else void renderOverview().then(() => (byId("sections").hidden = false));
  const total = model.names.size;
  byId("match-count").textContent = isSearching ? `${count(found)} of ${count(total)}` : `${count(total)} series`;
  byId("search").setAttribute("aria-invalid", String(error !== null));
  byId("search-error").textContent = error ?? "";
  fill(byId("empty"), emptyText(isSearching && !error && found === 0));
}

/**
 * Returns what to show if there is nothing to draw; null otherwise.
 *
 * @param {boolean} isWithoutMatch
 */
function emptyText(isWithoutMatch) {
  if (!model.isLoaded) return null;
  if (!model.runs.length) {
    const text = `No runs in ${model.root} yet. They appear here as soon as they are recorded:`;
    return element("div", { class: "empty" }, element("p", { text }), element("pre", {}, element("code", { text: EXAMPLE })));
  }
  let text = "";
  if (!model.selected.length) text = "No runs selected. Select one in the list of runs.";
  else if (!model.names.size) text = "No points yet. They appear here as soon as they are logged.";
  else if (isWithoutMatch) text = `No series match “${store.now.q}”.`;
  return text ? element("p", { class: "empty", text }) : null;
}

function showLiveState() {
  const live = model.selected.filter((run) => run.is_live);
  const ages = live.flatMap((run) => model.age(run) ?? []);
  byId("live").dataset.live = String(live.length > 0 && !connection.isLost);
  const liveText = ages.length ? `live · last point ${duration(Math.min(...ages))} ago` : "live";
  setText(byId("live-text"), live.length ? liveText : "no live runs");
}

async function loadFirst() {
  try {
    await model.load();
    startLive();
  } catch (error) {
    if (error instanceof ApiError && error.status) announce(error.message);
    setTimeout(loadFirst, RETRY_MILLIS);
  }
}

function setUpParts() {
  followTheme(() => refresh());
  setUpRuns();
  setUpOverview();
  setUpSections();
  setUpCompare();
  setUpDetails();
  setUpToolbar();
  setUpFullScreen(() => {
    const charts = sectionSpecs().map((spec) => ({ spec, fixedKind: null }));
    return store.now.q.trim() ? charts : [...overviewCharts(), ...charts];
  });
  setUpKeyboard();
}

function connectButtons() {
  for (const button of tabButtons) button.addEventListener("click", () => store.set({ tab: button.dataset.tab }));
  byId("bar-toggle").addEventListener("click", toggleBar);
  matchMedia("(width > 760px)").addEventListener("change", showTab);
  byId("theme").addEventListener("click", toggleTheme);
  byId("help-button").addEventListener("click", showHelp);
}

function connectModel() {
  model.addEventListener("runs", renderRuns);
  model.addEventListener("runs", renderDetails);
  model.addEventListener("runs", updateTiles);
  model.addEventListener("runs", debounced(showCharts, 0));
  model.addEventListener("names", () => {
    showCharts();
    refresh();
  });
  model.addEventListener("points", (event) => {
    refresh(/** @type {CustomEvent<Set<string>>} */ (event).detail);
    updateTiles();
  });
  model.addEventListener("problem", (event) => announce(/** @type {CustomEvent<string>} */ (event).detail));
  connection.addEventListener("change", () => (byId("offline").hidden = !connection.isLost));
}

function connectStore() {
  store.onChange(["tab", "bar"], showTab);
  store.onChange(["q"], showCharts);
  store.onChange(["run", "group"], async () => {
    showCharts();
    void renderCompare();
    await model.loadNames();
  });
  store.onChange(
    ["run", "group", "smooth", "log", "trim", "marks", "band", "x", "start", "stop", "mode", "threshold", "change"],
    () => refresh(),
  );
}

setUpParts();
connectButtons();
connectModel();
connectStore();
setInterval(showLiveState, 1000);
if (matchMedia("(width <= 760px)").matches) byId("settings", HTMLDetailsElement).open = false;
showTab();
void loadFirst();
