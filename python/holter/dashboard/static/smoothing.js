// @ts-check
// Maps the smoothing slider to half-lives, in equal ratios: 0, then 1 to 10,000 steps. Pure.

const MAX_EXPONENT = 4;
const SLIDER_MAX = 100;

/** @param {number} position */
export function halfLife(position) {
  return position <= 0 ? 0 : Number((10 ** ((position / SLIDER_MAX) * MAX_EXPONENT)).toPrecision(2));
}

/** @param {number} steps */
export function sliderPosition(steps) {
  return steps <= 0 ? 0 : Math.round((Math.log10(steps) / MAX_EXPONENT) * SLIDER_MAX);
}
