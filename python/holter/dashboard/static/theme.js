// Light or dark: what the user chose, else what the system says.

import { store } from "./state.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export function resolvedTheme() {
  return store.now.theme || (system.matches ? "dark" : "light");
}

function apply() {
  document.documentElement.dataset.theme = resolvedTheme();
}

/** Keeps the page in the theme; calls `changed` after each change. */
export function followTheme(changed) {
  apply();
  const act = () => {
    apply();
    changed();
  };
  system.addEventListener("change", act);
  store.follow(["theme"], act);
}

export function switchTheme() {
  const next = resolvedTheme() === "dark" ? "light" : "dark";
  store.set({ theme: next === (system.matches ? "dark" : "light") ? "" : next }, { keep: true });
}
