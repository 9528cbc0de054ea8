// Puts the page together: who is told of what.

import "./csp.js";
import { connection } from "./api.js";
import { refresh } from "./charts.js";
import { renderCompare, setUpCompare } from "./compare.js";
import { renderDetails, setUpDetails } from "./details.js";
import { announce, debounced, element, fill } from "./dom.js";
import { count, duration } from "./format.js";
import { setUpFullscreen } from "./fullscreen.js";
import { setUpKeyboard, showHelp } from "./keyboard.js";
import { startLive } from "./live.js";
import { model } from "./model.js";
import { overviewSpecs, renderOverview, setUpOverview, updateTiles } from "./overview.js";
import { renderRuns, setUpRuns } from "./runs.js";
import { renderSections, sectionSpecs, setUpSections } from "./sections.js";
import { isBarOpen, store, toggleBar } from "./state.js";
import { followTheme, switchTheme } from "./theme.js";
import { setUpToolbar } from "./toolbar.js";
import { goBack } from "./zoom.js";

const node = (id) => document.getElementById(id);
const RETRY = 2000;

function showTab() {
  const { tab } = store.now;
  for (const button of document.querySelectorAll("nav [data-tab]")) {
    const isCurrent = button.dataset.tab === tab;
    if (isCurrent) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
    node(button.dataset.tab).hidden = !isCurrent;
  }
  node("toolbar").hidden = tab !== "charts";
  document.body.classList.toggle("bar-closed", !isBarOpen());
  node("bar-toggle").setAttribute("aria-expanded", String(isBarOpen()));
  void renderCompare();
}

function showCharts() {
  const isSearching = store.now.q.trim() !== "";
  const { found, error } = renderSections();
  node("overview").hidden = isSearching;
  // Below what is not there yet, the first sections would seem to be in view, and be drawn in vain.
  if (isSearching) node("sections").hidden = false;
  else void renderOverview().then(() => (node("sections").hidden = false));
  node("found").textContent = isSearching ? `${count(found)} of ${count(model.names.size)}` : `${count(model.names.size)} series`;
  node("search").setAttribute("aria-invalid", String(error !== null));
  node("search-error").textContent = error ?? "";
  fill(node("empty"), emptyText(isSearching && !error && found === 0));
}

/** What to say where there is nothing to draw. */
function emptyText(isNothingFound) {
  if (!model.isLoaded) return null;
  if (!model.runs.length) {
    const how = 'with holter.Logger("runs/run-1") as logger:\n    logger.log(step, "train/loss", loss)';
    const text = `There is no run in ${model.root} yet. Record one, and it appears here by itself:`;
    return element("div", { class: "empty" }, element("p", { text }), element("pre", {}, element("code", { text: how })));
  }
  if (!model.selected.length) return element("p", { class: "empty", text: "No run is selected. Tick one in the list of runs." });
  if (!model.names.size) return element("p", { class: "empty", text: "No points yet: the first ones appear here as soon as they are logged." });
  return isNothingFound ? element("p", { class: "empty", text: `No series is found by “${store.now.q}”.` }) : null;
}

function showConnection() {
  node("lost").hidden = !connection.isLost;
}

function showAge() {
  const ages = model.selected.filter((run) => run.is_live).map((run) => model.age(run));
  const known = ages.filter((age) => age !== null);
  const isLive = ages.length > 0;
  node("live").dataset.live = String(isLive && !connection.isLost);
  const text = known.length ? `live · last point ${duration(Math.min(...known))} ago` : isLive ? "live" : "no run is live";
  if (node("live-text").textContent !== text) node("live-text").textContent = text;
}

async function firstLoad() {
  try {
    await model.load();
    startLive();
  } catch (error) {
    if (error.status) announce(error.message);
    setTimeout(firstLoad, RETRY);
  }
}

function setUp() {
  followTheme(() => refresh());
  setUpRuns({
    filter: node("run-filter"),
    list: node("run-list"),
    count: node("run-count"),
    group: node("run-group"),
    pattern: node("run-pattern"),
    newest: node("run-newest"),
    all: node("run-all"),
    none: node("run-none"),
    problems: node("problems"),
  });
  setUpOverview({ tiles: node("tiles"), charts: node("overview-charts") });
  setUpSections(node("sections"));
  setUpCompare({
    form: node("compare-form"),
    at: node("compare-at"),
    metric: node("compare-metric"),
    table: node("compare-table"),
    message: node("compare-message"),
    copies: { markdown: node("copy-markdown"), latex: node("copy-latex"), csv: node("copy-csv") },
  });
  setUpDetails(node("details"));
  setUpToolbar(node);
  setUpFullscreen(() => (store.now.q.trim() ? sectionSpecs() : [...overviewSpecs(), ...sectionSpecs()]));
  setUpKeyboard({ search: node("search"), smoothing: node("smoothing") });

  for (const button of document.querySelectorAll("nav [data-tab]")) {
    button.addEventListener("click", () => store.set({ tab: button.dataset.tab }));
  }
  node("bar-toggle").addEventListener("click", toggleBar);
  matchMedia("(width > 760px)").addEventListener("change", showTab);
  node("theme").addEventListener("click", switchTheme);
  node("help-button").addEventListener("click", showHelp);
  node("zoom-back").addEventListener("click", () => goBack());

  model.addEventListener("runs", renderRuns);
  model.addEventListener("runs", renderDetails);
  model.addEventListener("runs", updateTiles);
  model.addEventListener("runs", debounced(showCharts, 0));
  model.addEventListener("names", () => {
    showCharts();
    refresh();
  });
  model.addEventListener("points", ({ detail }) => {
    refresh(detail);
    updateTiles();
  });
  model.addEventListener("gone", ({ detail }) => announce(detail));
  connection.addEventListener("change", showConnection);

  store.follow(["tab", "bar"], showTab);
  store.follow(["q"], showCharts);
  store.follow(["run", "group"], async () => {
    showCharts();
    void renderCompare();
    await model.loadNames();
  });
  store.follow(["run", "group", "smooth", "log", "trim", "marks", "band", "x", "start", "stop", "mode", "line", "change"], () => refresh());
  setInterval(showAge, 1000);
  if (matchMedia("(width <= 760px)").matches) document.querySelector(".settings").open = false;
  showTab();
  void firstLoad();
}

setUp();
