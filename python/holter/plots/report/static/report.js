// Draws the report's charts when they come near, the others when there is nothing else to do, and all before printing.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const boxes = [...document.querySelectorAll("[data-chart]")];
  const root = document.documentElement;
  const config = { displaylogo: false, responsive: true, plotlyServerURL: "", showTips: false };
  const waiting = new Set(boxes);

  function figureOf(box) {
    const { figure, dark } = charts[Number(box.dataset.chart)];
    const { data, layout } = structuredClone(figure);
    const whole = { data, layout: { ...layout, height: Number(box.dataset.height), autosize: true } };
    if (root.dataset.theme === "dark") {
      for (const [path, value] of dark) {
        const last = path.at(-1);
        path.slice(0, -1).reduce((inner, key) => inner[key], whole)[last] = structuredClone(value);
      }
    }
    const hidden = hiddenGroups(box);
    for (const trace of data) if (hidden.has(trace.legendgroup)) trace.visible = false;
    return whole;
  }

  function hiddenGroups(box) {
    const off = box.closest("figure").querySelectorAll('[aria-pressed="false"]');
    return new Set([...off].map((button) => button.dataset.group));
  }

  function draw(box) {
    waiting.delete(box);
    const { data, layout } = figureOf(box);
    return Plotly.react(box, data, layout, config).then(() => {
      box.dataset.drawn = root.dataset.theme;
    });
  }

  function drawWaiting() {
    const next = waiting.values().next().value;
    if (!next) return;
    draw(next);
    later(drawWaiting);
  }

  const later = (task) => (window.requestIdleCallback ? requestIdleCallback(task, { timeout: 500 }) : setTimeout(task, 50));

  function setTheme(name) {
    root.dataset.theme = name;
    for (const box of boxes) if (!waiting.has(box)) draw(box);
  }

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  root.dataset.theme = prefersDark.matches ? "dark" : "light";
  prefersDark.addEventListener("change", ({ matches }) => setTheme(matches ? "dark" : "light"));
  document.getElementById("theme").addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      draw(button.closest("figure").querySelector("[data-chart]"));
    });
  }

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting && waiting.has(target)) draw(target);
    },
    { rootMargin: "200px" },
  );
  for (const box of boxes) watcher.observe(box);
  addEventListener("load", () => later(drawWaiting));
  addEventListener("beforeprint", () => [...waiting].forEach(draw));
})();
