// What happens meanwhile, as server-sent events: changed alerts, who else looks, how the database stands.
// A tab that nobody sees listens to nothing (a browser keeps few connections to one place); it catches up when it is seen.

import { database, part } from "./queue-ask.js";
import { at, box, say, unbox } from "./queue-say.js";

/** A gap that is shorter is nobody's business. */
const GAP_MS = 8_000;
const AGAIN_MS = 5_000;

let source = null;
let looked = null;
let changed = () => {};
let caughtUp = () => {};
let gap = null;
let wasCut = false;

/** Begins to listen. `onChange(id)` for a changed alert, null when all may have; `onReturn()` after a gap. */
export function listen(onChange, onReturn) {
  changed = onChange;
  caughtUp = onReturn;
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
  wasCut = true;
}

function connect() {
  source?.close();
  const own = new EventSource(`/v1/alerts/events${looked ? `?alert=${encodeURIComponent(looked)}` : ""}`);
  source = own;
  own.addEventListener("open", () => {
    clearTimeout(gap);
    gap = null;
    unbox("live");
    unbox("signed-out");
    if (wasCut) caughtUp();
    wasCut = false;
  });
  own.addEventListener("error", () => {
    wasCut = true;
    gap ??= setTimeout(() => {
      const text = "No live updates at the moment: what you see may be old. They come back by themselves.";
      box("live", text, { closes: false });
    }, GAP_MS);
    // The browser tries again by itself, but not after an answer that is no stream.
    if (own.readyState !== EventSource.CLOSED) return;
    part("/v1/filters"); // Says so when it is that nobody is signed in any more.
    setTimeout(() => source === own && connect(), AGAIN_MS);
  });
  own.addEventListener("alert", ({ data }) => {
    const { alert_id: id, version } = JSON.parse(data);
    changed(id, version);
  });
  own.addEventListener("viewers", ({ data }) => viewers(JSON.parse(data)));
  own.addEventListener("database", ({ data }) => {
    const { standing, why } = JSON.parse(data);
    database(standing === "ok" ? null : (why ?? ""));
  });
}

function viewers({ alert_id: id, names }) {
  if (id !== looked || !at("viewers")) return;
  say(at("viewers"), names.join(", "));
  at("viewers-fact").hidden = names.length === 0;
}
