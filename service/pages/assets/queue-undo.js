// The last action, as long as it can be taken back: said at the bottom with a countdown, taken back by `u`. It outlives
// the page on which it was done, for this tab.

import { main, show } from "./queue-alert.js";
import { alertPath, brief, send, trouble } from "./queue-ask.js";
import { draftOf } from "./queue-draft.js";
import { at, now, speak, toast } from "./queue-say.js";

const PLACE = "tripline:last";

function last() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE));
    return kept?.until > now() ? kept : null;
  } catch {
    return null;
  }
}

/** Something was done; `undo` is {action_id, until} when it can be taken back. `id` is the alert, if it was one. */
export function done(text, undo, id = null) {
  if (!undo) {
    sessionStorage.removeItem(PLACE);
    toast(text);
    return;
  }
  const kept = { text, action: undo.action_id, until: Date.parse(undo.until), id };
  sessionStorage.setItem(PLACE, JSON.stringify(kept));
  offer(kept);
}

const word = () => (document.body.dataset.keys === "off" ? "Undo" : "Undo (u)");
const offer = ({ text, until }) => toast(text, { until, actions: [[word(), undo]] });

/** A new page: what could be taken back still can. */
export function begin() {
  const kept = last();
  if (kept) offer(kept);
}

/** Takes the last action back, or the one that the page shows. */
export async function undo() {
  const here = at("undo");
  const kept = last() ?? (here && { action: here.dataset.action, id: main()?.dataset.alert });
  if (!kept) return toast("There is nothing to take back.");
  const answer = await send("POST", `/v1/actions/${encodeURIComponent(kept.action)}/undo`);
  if (!answer.ok) return trouble(answer);
  sessionStorage.removeItem(PLACE);
  const { items } = answer.data;
  const failed = items.filter(({ done }) => !done);
  const text = failed.length === 0 ? taken(items.length) : `${failed.length} of ${items.length} not taken back: ${brief(failed[0].problem)}`;
  speak(text);
  if (failed.length || !kept.id) return toast(text);
  // Back to the one that went wrong, unless something is typed here.
  const open = main()?.dataset.alert;
  if (open && open !== kept.id && draftOf(open)) {
    return toast(text, { actions: [["Show it", () => location.assign(alertPath(kept.id))]] });
  }
  if (open) await show(kept.id, { push: open !== kept.id });
  return toast(text, open ? {} : { actions: [["Show it", () => location.assign(alertPath(kept.id))]] });
}

const taken = (n) => (n === 1 ? "Taken back: it is as it was before." : `Taken back: ${n} alerts are as they were before.`);
