// @ts-check
// Matches names against a search query. Pure: the query stays in the browser, the server gets only names.
//
//   words            all words occur in the name, in any order, ignoring case
//   a word with * ?  a glob pattern for the whole name; * also matches "/"
//   re:…             a regular expression that matches anywhere in the name

/**
 * Compiles a query. If its regular expression is invalid, `error` has the reason and no name matches.
 *
 * @param {string} query
 * @returns {{matches: (name: string) => boolean, error: string | null}}
 */
export function compile(query) {
  const text = query.trim();
  if (text.startsWith("re:")) return compileExpression(text.slice(3).trim());
  const tests = text.split(/\s+/).filter(Boolean).map(wordTest);
  return { matches: (name) => tests.every((test) => test(name)), error: null };
}

/** @param {string} source */
function compileExpression(source) {
  if (!source) return { matches: () => true, error: null };
  try {
    const expression = new RegExp(source, "iu");
    return { matches: (/** @type {string} */ name) => expression.test(name), error: null };
  } catch (error) {
    const reason = /** @type {SyntaxError} */ (error).message.replace(/^Invalid regular expression: /, "");
    return { matches: () => false, error: `Invalid regular expression: ${reason}` };
  }
}

/**
 * @param {string} word
 * @returns {(name: string) => boolean}
 */
function wordTest(word) {
  if (/[*?]/.test(word)) {
    const expression = globExpression(word);
    return (name) => expression.test(name);
  }
  const lower = word.toLowerCase();
  return (name) => name.toLowerCase().includes(lower);
}

/** @param {string} pattern */
function globExpression(pattern) {
  const source = Array.from(pattern, (character) => {
    if (character === "*") return ".*";
    return character === "?" ? "." : character.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
  });
  return new RegExp(`^${source.join("")}$`, "isu");
}
