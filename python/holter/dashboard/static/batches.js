// @ts-check
// Splits charts into requests that stay below the server's limits. Pure.

const MAX_CHARTS = 64;
/** Far fewer than the server allows, so that it renders several requests at the same time. */
const MAX_NAMES = 500;
/** In all names, so that the body stays well below 1 MB. */
const MAX_CHARACTERS = 400_000;

/**
 * Splits entries into as few chunks as the limits allow, the ones with the fewest series first: small charts appear early and
 * don't wait for large ones.
 *
 * @template {{request: {names: string[]}}} Entry
 * @param {Entry[]} entries
 * @returns {Entry[][]}
 */
export function splitIntoChunks(entries) {
  /** @type {Entry[][]} */
  const chunks = [];
  let [names, characters] = [0, 0];
  for (const entry of [...entries].sort((left, right) => left.request.names.length - right.request.names.length)) {
    const count = entry.request.names.length;
    const length = entry.request.names.reduce((sum, name) => sum + name.length, 0);
    const fits = names + count <= MAX_NAMES && characters + length <= MAX_CHARACTERS;
    if (!chunks.length || chunks[chunks.length - 1].length === MAX_CHARTS || !fits) {
      chunks.push([]);
      [names, characters] = [0, 0];
    }
    chunks[chunks.length - 1].push(entry);
    names += count;
    characters += length;
  }
  return chunks;
}
