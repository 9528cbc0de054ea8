// @ts-check
// A tile of the overview: the status, progress, speed, time left and recorder health of a run.

import { element, setText } from "./dom.js";
import { counted } from "./format.js";
import { cssColor } from "./grouping.js";
import { model } from "./model.js";
import { paceText, problemText, progressOf, progressText } from "./run_text.js";
import { store } from "./state.js";

/** @typedef {import("./api.js").Run} Run */

export class Tile {
  /** @param {Run} run */
  constructor(run) {
    this.bar = element("div", { class: "bar" });
    this.track = element("div", { class: "progress", role: "progressbar", "aria-label": `progress of ${run.name}` }, this.bar);
    this.status = element("span", { class: "status" });
    this.progress = element("p", { class: "big" });
    this.facts = element("p", { class: "facts" });
    this.health = element("p", { class: "health" });
    const name = element("button", { type: "button", class: "name", text: run.name, title: `details of ${run.id}` });
    name.addEventListener("click", () => store.set({ tab: "details", details: run.id }));
    const head = element("h3", {}, element("span", { class: "swatch" }), name, this.status);
    const attributes = { class: "tile", "data-run": run.id, style: { "--color": cssColor(run.color) }, "aria-label": `run ${run.name}` };
    this.element = element("article", attributes, head, this.progress, this.track, this.facts, this.health);
  }

  /** @param {Run} run */
  update(run) {
    this.element.dataset.status = run.status;
    setText(this.status, run.status);
    setText(this.progress, progressText(run));
    const progress = progressOf(run);
    this.track.hidden = progress === null;
    if (progress !== null) {
      this.bar.style.width = `${progress * 100}%`;
      this.track.setAttribute("aria-valuenow", String(Math.round(progress * 100)));
    }
    setText(this.facts, paceText(run, model.age(run)));
    const problems = problemText(run);
    setText(this.health, problems || `recorder OK: ${counted(run.points, "point")}, none dropped`);
    this.health.classList.toggle("error", problems !== "");
  }
}
