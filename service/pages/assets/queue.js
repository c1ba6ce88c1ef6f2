// The analysts' pages come alive: keys, and what belongs to which page. Everything can be read without this.

import { afterwards, alertPage, approve, assign, changedMeanwhile, choose, escalate, main, next, once, prefetch, refresh, reject, snooze, take } from "./queue-alert.js";
import { send, trouble } from "./queue-ask.js";
import { prune, tick } from "./queue-draft.js";
import { listPage, move, open, reload, select, stir } from "./queue-list.js";
import { listen } from "./queue-live.js";
import { asked, at, el, isAsking, times, toast } from "./queue-say.js";
import { begin, undo } from "./queue-undo.js";

const PREFIX_MS = 1_200;
const body = document.body;
const page = body.dataset.page;
let prefixAt = 0;

// --- Keys ------------------------------------------------------------------------------------------------------------

const focus = (id) => at(id)?.focus();
const maySay = () => at("confirm") !== null;

const everywhere = {
  "/": () => (at("search").focus(), at("search").select()),
  "?": () => asked("help"),
  c: () => maySay() && once(next),
  u: () => maySay() && afterwards(undo),
};
const inList = { j: () => move(1), k: () => move(-1), x: select, Enter: open };
const onAlert = {
  1: () => choose(1),
  2: () => choose(2),
  3: () => choose(3),
  4: () => choose(4),
  r: () => focus("reason"),
  n: () => focus("note"),
  b: () => at("block") && !at("block-line").hidden && at("block").click(),
  s: snooze,
  e: escalate,
  a: assign,
  t: take,
  y: approve,
  x: reject,
  Enter: () => at("verdict")?.requestSubmit(),
};
const afterG = { q: () => location.assign("/queue"), d: () => location.assign("/dashboard") };
const own = page === "alert" ? onAlert : at("alerts") ? inList : {};

const isTyping = ({ target }) =>
  target.matches?.('textarea, select, [contenteditable], input:not([type="checkbox"], [type="radio"], [type="file"])');

/** In the list of reasons: Enter decides, a number chooses the reason that has it. */
function inReason(event) {
  const { target, key } = event;
  if (key === "Enter") target.form.requestSubmit();
  else if (/^[1-9]$/.test(key) && target.options[key]) {
    target.selectedIndex = Number(key);
    target.dispatchEvent(new Event("input", { bubbles: true }));
  } else return;
  event.preventDefault();
}

function pressed(event) {
  const { key, target } = event;
  if (key === "Enter" && event.ctrlKey && target.id === "note") return target.form.requestSubmit();
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isAsking()) return;
  if (key === "Escape") return target.blur?.();
  if (target.id === "reason") return inReason(event);
  if (isTyping(event)) return;
  const isPrefixed = Date.now() - prefixAt < PREFIX_MS;
  prefixAt = key === "g" ? Date.now() : 0;
  // Enter on a link or a button is that link's or button's own.
  if (key === "Enter" && target.closest?.("a, button, summary, input")) return;
  const does = (isPrefixed && afterG[key]) || own[key] || everywhere[key];
  if (!does || event.repeat && key !== "j" && key !== "k") return;
  event.preventDefault();
  does();
}

// --- Pages -----------------------------------------------------------------------------------------------------------

/** A file of chargebacks: how many were taken, and which lines were not and why. */
async function chargebacks(event) {
  event.preventDefault();
  const [file] = at("chargeback-file").files;
  const answer = await send("POST", "/v1/chargebacks", { body: await file.text(), type: "text/csv" });
  if (!answer.ok) return trouble(answer);
  const { taken, refused, refused_lines: refusedLines } = answer.data;
  const lines = refused.map(({ line, why }) => el("li", {}, `line ${line}: ${why}`));
  at("chargebacks-told").replaceChildren(
    el("p", {}, `${taken === 1 ? "1 line" : `${taken} lines`} taken, ${refusedLines} refused.`),
    el("ul", {}, ...lines),
  );
}

/** An alert changed; without an id, any of them may have. */
function changed(id, version = Infinity) {
  const shown = main()?.dataset.alert;
  if (shown && (id ?? shown) === shown) changedMeanwhile({ id: shown, version });
  else if (shown) prefetch();
  else if (page === "list") stir();
}

function said() {
  const text = sessionStorage.getItem("tripline:say");
  sessionStorage.removeItem("tripline:say");
  if (text) toast(text, { ms: 12_000 });
}

times();
prune();
if (page === "alert") alertPage();
if (at("alerts")) listPage();
begin();
said();
addEventListener("keydown", pressed);
setInterval(tick, 1_000);
at("help-button").addEventListener("click", () => asked("help"));
at("claim-next")?.addEventListener("click", () => once(next));
document.addEventListener("click", ({ target }) => target.closest("#undo") && afterwards(undo));
at("chargebacks")?.addEventListener("submit", chargebacks);
// After a gap anything may have changed, and is said like any change.
listen(changed, () => changed(null));
