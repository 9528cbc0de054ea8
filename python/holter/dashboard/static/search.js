// What the search box understands. Pure: the names are tested here in the browser, the server never sees a pattern.
//
//   words          every word is somewhere in the name, in any order, capitals or not
//   a word with *  or ? is a shell's pattern for the whole name; * also matches "/"
//   re:…           a regular expression, found anywhere in the name

/** Returns `{matches(name), error}`; while the expression is wrong, `error` says why and nothing matches. */
export function compile(query) {
  const text = query.trim();
  if (text.startsWith("re:")) return compileExpression(text.slice(3).trim());
  const tests = text.split(/\s+/).filter(Boolean).map(wordTest);
  return { matches: (name) => tests.every((test) => test(name)), error: null };
}

function compileExpression(source) {
  if (!source) return { matches: () => true, error: null };
  try {
    const expression = new RegExp(source, "iu");
    return { matches: (name) => expression.test(name), error: null };
  } catch (error) {
    const reason = String(error.message).replace(/^Invalid regular expression: /, "");
    return { matches: () => false, error: `this regular expression is wrong: ${reason}` };
  }
}

function wordTest(word) {
  if (/[*?]/.test(word)) {
    const expression = globExpression(word);
    return (name) => expression.test(name);
  }
  const wanted = word.toLowerCase();
  return (name) => name.toLowerCase().includes(wanted);
}

/** A shell's pattern as an expression for the whole of a name. */
export function globExpression(pattern) {
  const source = Array.from(pattern, (sign) => {
    if (sign === "*") return ".*";
    return sign === "?" ? "." : sign.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
  });
  return new RegExp(`^${source.join("")}$`, "isu");
}
