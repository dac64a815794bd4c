// Talking with the server. All addresses are relative, so the secret in the page's own travels by itself.

/** The server was reached and said no; the message is one line for a person. */
export class Refused extends Error {
  constructor(message, status, items) {
    super(message);
    this.status = status;
    this.items = items;
  }
}

/** The server could not be reached: nothing was saved. */
export class Gone extends Error {}

/** Tells "gone" when the server does not answer and "back" when it does again. */
export const server = new EventTarget();
server.gone = false;

/** This tab's name for itself, in all that it saves: what is undone is what was done in it. */
export const TAB = nameOfTab();

/** A reload keeps it. */
function nameOfTab() {
  const fresh = crypto.randomUUID();
  try {
    const kept = sessionStorage.getItem("framekit-review-tab") ?? fresh;
    sessionStorage.setItem("framekit-review-tab", kept);
    return kept;
  } catch {
    return fresh;
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reached(false);
    throw new Gone("the server does not answer");
  }
  reached(true);
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refused(said.error || `the server answered ${answer.status}`, answer.status, said.items);
}

function reached(yes) {
  if (server.gone !== yes) return;
  server.gone = !yes;
  server.dispatchEvent(new Event(yes ? "back" : "gone"));
}

export async function get(path, signal) {
  return (await ask(path, { signal })).json();
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

const FIRST = 0x80000000;

/**
 * The frames that filters want, in order.
 *
 * @returns {{rows: Uint32Array, heads: Uint32Array|null, version: number}} `heads` are the places where
 *   groups of near-duplicates begin, where frames are sorted by group.
 */
export async function view(filters, signal) {
  const answer = await ask(`api/view?${filters}`, { signal });
  const rows = new Uint32Array(await answer.arrayBuffer());
  const version = Number(answer.headers.get("X-Version"));
  if (filters.get("sort") !== "group") return { rows, heads: null, version };
  const heads = [];
  for (let place = 0; place < rows.length; place++) {
    if (rows[place] < FIRST) continue;
    rows[place] -= FIRST;
    heads.push(place);
  }
  return { rows, heads: Uint32Array.from(heads), version };
}
