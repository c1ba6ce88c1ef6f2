// What happens meanwhile, as server-sent events: changed alerts, claims that go on, who else looks, how the database stands.
// A tab that nobody sees listens to nothing (a browser keeps few connections to one place); it catches up when it is seen.

import { BACKGROUND, database, part } from "./queue-ask.js";
import { at, box, isBoxed, say, unbox } from "./queue-say.js";

/** A gap that is shorter is nobody's business. */
const GAP_MS = 8_000;
/** After a refusal it is tried again so soon, then half as often each time, and this often at least. */
const AGAIN_MS = 5_000;
const LAST_AGAIN_MS = 60_000;

let source = null;
let looked = null;
let does = null;
let gap = null;
let again = AGAIN_MS;
let wasCut = false;

/**
 * Begins to listen. `changed(id, version)` for a changed alert, null when all may have; `leased` for a claim that goes on;
 * `caughtUp()` after a gap.
 */
export function listen(what) {
  does = what;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));
  addEventListener("pagehide", close);
  // A page that comes back from the browser's memory is old.
  addEventListener("pageshow", ({ persisted }) => persisted && connect());
  connect();
}

/** Another alert is looked at, or none. */
export function look(id) {
  if (looked === id) return;
  looked = id;
  if (source) connect();
}

function close() {
  source?.close();
  source = null;
  again = AGAIN_MS;
  wasCut = true;
}

function connect() {
  source?.close();
  const own = new EventSource(`/v1/alerts/events${looked ? `?alert=${encodeURIComponent(looked)}` : ""}`);
  source = own;
  own.addEventListener("open", opened);
  own.addEventListener("error", () => cut(own));
  own.addEventListener("alert", ({ data }) => {
    const { alert_id: id, version } = JSON.parse(data);
    does.changed(id, version);
  });
  own.addEventListener("lease", ({ data }) => does.leased(JSON.parse(data)));
  own.addEventListener("viewers", ({ data }) => viewers(JSON.parse(data)));
  own.addEventListener("database", ({ data }) => {
    const { standing, why } = JSON.parse(data);
    database(standing === "ok" ? null : (why ?? ""));
  });
}

function opened() {
  clearTimeout(gap);
  gap = null;
  again = AGAIN_MS;
  unbox("live");
  unbox("signed-out");
  // What happened meanwhile is told to nobody a second time.
  if (wasCut) does.caughtUp();
  wasCut = false;
}

/** The stream is over: after an hour the service ends it, with the session too, and lines break. */
function cut(own) {
  if (source !== own) return;
  wasCut = true;
  gap ??= setTimeout(() => {
    const text = "No live updates at the moment: what you see may be old. They come back by themselves.";
    if (!isBoxed("signed-out")) box("live", text, { closes: false });
  }, GAP_MS);
  // The browser tries again by itself, but not after an answer that is no stream.
  if (own.readyState !== EventSource.CLOSED) return;
  part("/v1/filters", BACKGROUND); // Says so when it is that nobody is signed in any more.
  setTimeout(() => source === own && connect(), again);
  again = Math.min(2 * again, LAST_AGAIN_MS);
}

function viewers({ alert_id: id, names }) {
  if (id !== looked || !at("viewers")) return;
  say(at("viewers"), names.join(", "));
  at("viewers-fact").hidden = names.length === 0;
}
