// The parts of a browser that the stateful modules use. Import it before them.

class FakeLocation {
  hash = "";
}

export const stored = new Map();
export const historyCalls = [];

globalThis.location = new FakeLocation();
globalThis.history = {
  pushState: (_state, _title, hash) => visit("push", hash),
  replaceState: (_state, _title, hash) => visit("replace", hash),
};
globalThis.localStorage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, value) => stored.set(key, value),
};
globalThis.matchMedia = () => ({ matches: true });
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, { detail } = {}) {
    super(type);
    this.detail = detail;
  }
};

const target = new EventTarget();
globalThis.addEventListener = target.addEventListener.bind(target);

function visit(how, hash) {
  historyCalls.push(how);
  location.hash = hash;
}

/** Changes the URL as the back button does. */
export function navigate(hash) {
  location.hash = hash;
  target.dispatchEvent(new Event("popstate"));
}

/** Answers requests with JSON by path. Returns the list of requested paths. */
export function serve(answers) {
  const requests = [];
  globalThis.fetch = async (path, options) => {
    requests.push({ path, options });
    const answer = answers[path.replace(/^\/api\/v1/, "")];
    if (answer === undefined) throw new TypeError("Failed to fetch");
    return new Response(answer.status === 304 ? null : JSON.stringify(answer.body), { status: answer.status ?? 200, headers: answer.headers });
  };
  return requests;
}
