// @ts-check
// Draws the charts of the report: those near the viewport first, the others while the browser is idle, all before printing.

/**
 * @typedef {{data: any[], layout: any}} Figure
 * @typedef {{figure: Figure, dark: [path: (string | number)[], value: unknown][]}} Chart `dark` has the values of the dark theme
 */

/** @type {Chart[]} */
const charts = JSON.parse(document.getElementById("charts")?.textContent ?? "[]");
const boxes = /** @type {PlotBox[]} */ ([...document.querySelectorAll("[data-chart]")]);
const root = document.documentElement;
const config = { displaylogo: false, responsive: true, plotlyServerURL: "", showTips: false };
const waiting = new Set(boxes);

/** @param {PlotBox} box */
function figureOf(box) {
  const { figure, dark } = charts[Number(box.dataset.chart)];
  const { data, layout } = structuredClone(figure);
  const themed = { data, layout: { ...layout, height: Number(box.dataset.height), autosize: true } };
  if (root.dataset.theme === "dark") for (const [path, value] of dark) setAt(themed, path, structuredClone(value));
  const hidden = hiddenGroups(box);
  for (const trace of data) if (hidden.has(trace.legendgroup)) trace.visible = false;
  return themed;
}

/**
 * @param {any} target
 * @param {(string | number)[]} path
 * @param {unknown} value
 */
function setAt(target, path, value) {
  const parent = path.slice(0, -1).reduce((inner, key) => inner[key], target);
  parent[path[path.length - 1]] = value;
}

/** @param {PlotBox} box */
function hiddenGroups(box) {
  /** @type {NodeListOf<HTMLElement> | undefined} */
  const buttons = box.closest("figure")?.querySelectorAll('[aria-pressed="false"]');
  return new Set([...(buttons ?? [])].map((button) => button.dataset.group));
}

/** @param {PlotBox} box */
async function draw(box) {
  waiting.delete(box);
  const { data, layout } = figureOf(box);
  await Plotly.react(box, data, layout, config);
  box.dataset.drawn = root.dataset.theme;
}

function drawNext() {
  const [next] = waiting;
  if (!next) return;
  void draw(next);
  whenIdle(drawNext);
}

/** @param {() => void} task */
function whenIdle(task) {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(task, { timeout: 500 });
  else setTimeout(task, 50);
}

/** @param {string} theme */
function setTheme(theme) {
  root.dataset.theme = theme;
  for (const box of boxes) if (!waiting.has(box)) void draw(box);
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");
root.dataset.theme = systemDark.matches ? "dark" : "light";
systemDark.addEventListener("change", ({ matches }) => setTheme(matches ? "dark" : "light"));
document.getElementById("theme")?.addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));

for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    const box = boxes.find((candidate) => candidate.closest("figure") === button.closest("figure"));
    if (box) void draw(box);
  });
}

const viewportObserver = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      const box = boxes.find((candidate) => candidate === target);
      if (isIntersecting && box && waiting.has(box)) void draw(box);
    }
  },
  { rootMargin: "200px" },
);
for (const box of boxes) viewportObserver.observe(box);
addEventListener("load", () => whenIdle(drawNext));
addEventListener("beforeprint", () => waiting.forEach((box) => void draw(box)));
