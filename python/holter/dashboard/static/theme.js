// @ts-check
// The light or dark theme: the user's choice, or the system's.

import { store } from "./state.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function systemTheme() {
  return dark.matches ? "dark" : "light";
}

export function currentTheme() {
  return store.now.theme || systemTheme();
}

function apply() {
  document.documentElement.dataset.theme = currentTheme();
}

/**
 * Applies the theme to the page, now and after each change. Then calls `onChange`.
 *
 * @param {() => void} onChange
 */
export function followTheme(onChange) {
  const update = () => {
    apply();
    onChange();
  };
  apply();
  dark.addEventListener("change", update);
  store.onChange(["theme"], update);
}

export function toggleTheme() {
  const next = currentTheme() === "dark" ? "light" : "dark";
  store.set({ theme: next === systemTheme() ? "" : next }, { replace: true });
}
