// The analysts' pages come alive: what belongs to which page, and what happens meanwhile. Everything can be read without
// this.

import { afterwards, alertPage, changedMeanwhile, main, next, once, prefetch } from "./queue-alert.js";
import { send, trouble } from "./queue-ask.js";
import { prune, renewed, tick } from "./queue-draft.js";
import { keys } from "./queue-keys.js";
import { lapse, lasts, listPage, stir } from "./queue-list.js";
import { listen } from "./queue-live.js";
import { asked, at, el, times, toast } from "./queue-say.js";
import { begin, undo } from "./queue-undo.js";

/** A file is up to 8 MiB, on any line. */
const UPLOAD_MS = 120_000;
const page = document.body.dataset.page;
let isUploading = false;

/** A file of chargebacks: how many were taken, and which lines were not and why. */
async function chargebacks(event) {
  event.preventDefault();
  if (isUploading) return;
  isUploading = true;
  const told = at("chargebacks-told");
  told.replaceChildren(el("p", {}, "It is being handed in."));
  const [file] = at("chargeback-file").files;
  const text = await file.text().catch(() => null);
  const answer = text === null ? null : await send("POST", "/v1/chargebacks", { body: text, type: "text/csv", within: UPLOAD_MS });
  isUploading = false;
  told.replaceChildren();
  if (!answer) return toast("The file cannot be read: choose it again.");
  if (!answer.ok) return trouble(answer);
  const { taken, refused, refused_lines: refusedLines } = answer.data;
  const lines = refused.map(({ line, why }) => el("li", {}, `line ${line}: ${why}`));
  told.replaceChildren(
    el("p", {}, `${taken === 1 ? "1 line" : `${taken} lines`} taken, ${refusedLines} refused.`),
    el("ul", {}, ...lines),
  );
}

// --- What happens meanwhile ------------------------------------------------------------------------------------------

/** An alert changed; without an id, any of them may have. */
function changed(id, version = Infinity) {
  const shown = main()?.dataset.alert;
  if (shown && (id ?? shown) === shown) changedMeanwhile({ id: shown, version });
  else if (shown) prefetch();
  else if (page === "list") stir();
}

/** A claim goes on until then. Where another one is shown, what is shown is old. */
function leased({ alert_id: id, holder, lease_until: until }) {
  const isShown = main()?.dataset.alert === id;
  const isTrue = isShown ? renewed(holder, Date.parse(until)) : lasts(id, holder, Date.parse(until));
  if (!isTrue) changed(id);
}

/** Each second: claims that are over. That writes nothing, so no event tells of it. */
function second() {
  tick(changed);
  if (lapse()) changed(null);
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
keys();
begin();
said();
setInterval(second, 1_000);
at("help-button").addEventListener("click", () => asked("help"));
at("claim-next")?.addEventListener("click", () => once(next));
document.addEventListener("click", ({ target }) => target.closest("#undo") && afterwards(undo));
at("chargebacks")?.addEventListener("submit", chargebacks);
// After a gap anything may have changed, and is said like any change.
listen({ changed, leased, caughtUp: () => changed(null) });
