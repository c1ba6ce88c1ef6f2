// What is typed and not sent, and the claim under which it is typed. A note outlives everything: a claim that lapses, a
// signed-out session, a reload. It stands in this browser until the service has it.

import { act, signedOut } from "./queue-ask.js";
import { at, box, now, say, speak, unbox } from "./queue-say.js";

const BEAT_MS = 20_000;
const LEAST_BEAT_MS = 1_000;
const OLD_MS = 7 * 86_400_000;
const me = document.body.dataset.me;
const place = (id) => `tripline:draft:${me}:${id}`;

/** The storage may be full or forbidden; then the draft lives in the page and at the service. */
function stored(does) {
  try {
    return does(localStorage);
  } catch {
    return null;
  }
}

export const draftOf = (id) => {
  const kept = stored((storage) => JSON.parse(storage.getItem(place(id))));
  return typeof kept?.text === "string" ? kept.text : null;
};

export function keep(id, text) {
  stored((storage) => storage.setItem(place(id), JSON.stringify({ text, at: Date.now() })));
}

export const forget = (id) => stored((storage) => storage.removeItem(place(id)));

/** Drafts of a week ago are nobody's any more. */
export function prune() {
  stored((storage) => {
    const own = Object.keys(storage).filter((key) => key.startsWith("tripline:draft:"));
    for (const key of own) if (!(JSON.parse(storage.getItem(key))?.at > Date.now() - OLD_MS)) storage.removeItem(key);
  });
}

const main = () => document.querySelector("main[data-alert]");
let beatAt = 0;
let timer = null;
let lease = 0;

export const isMine = (one = main()) => one?.dataset.holder === me && Number(one.dataset.lease) > now();

/** The page shows another alert, or the same one anew. */
export function watch() {
  const one = main();
  if (!one) return;
  const note = at("note");
  const local = draftOf(one.dataset.alert);
  if (note && local !== null && local !== note.value) {
    note.value = local;
    say(at("draft-state"), "What you typed before; it is not sent yet.");
  }
  if (isMine(one)) held(Number(one.dataset.lease));
}

/** A claim holds until then. */
export function held(until) {
  lease = until - now();
  unbox("lapsed");
}

/** Something was typed. */
export function typed() {
  const one = main();
  if (!one) return;
  keep(one.dataset.alert, at("note").value);
  say(at("draft-state"), "");
  moved();
}

/** Somebody is at work: the claim is renewed now, or as soon as the last time is long enough ago. */
export function moved() {
  const one = main();
  if (!one || timer !== null) return;
  if (!isMine(one) && draftOf(one.dataset.alert) === null) return;
  const every = Math.max(LEAST_BEAT_MS, Math.min(BEAT_MS, lease / 3 || BEAT_MS));
  timer = setTimeout(() => ((timer = null), beat()), Math.max(0, beatAt + every - Date.now()));
}

async function beat() {
  const one = main();
  if (!one) return;
  const id = one.dataset.alert;
  const draft = draftOf(id);
  if (!isMine(one) && draft === null) return;
  beatAt = Date.now();
  const answer = await act(id, "heartbeat", undefined, draft === null ? {} : { draft });
  if (answer.status === 401) return signedOut();
  const code = answer.data?.code;
  // What was typed meanwhile is newer than what the service has.
  if ((answer.ok || code === "lease_lapsed") && draft !== null && draftOf(id) === draft) sent(id);
  if (main()?.dataset.alert !== id) return;
  if (answer.ok) renewed(answer.data.holder, Date.parse(answer.data.lease_until));
  if (code === "lease_lapsed" && main().dataset.holder === me) lapsed();
}

function sent(id) {
  forget(id);
  if (main()?.dataset.alert === id && at("draft-state")) say(at("draft-state"), "Draft kept.");
}

/** The claim that is shown goes on until then; false when another one is shown. */
export function renewed(holder, until) {
  const one = main();
  if (!one || one.dataset.holder !== holder || !(until > 0)) return false;
  one.dataset.lease = until;
  for (const left of document.querySelectorAll("#holder [data-left]")) left.dataset.left = until;
  if (holder === me) held(until);
  return true;
}

function free(one) {
  delete one.dataset.holder;
  delete one.dataset.lease;
  at("holder").replaceChildren("nobody");
}

/** One's own claim is over. */
function lapsed() {
  free(main());
  const take = at("take");
  if (take) {
    take.dataset.does = "claim";
    say(take.querySelector("span"), "Take it");
  }
  const again = [["Take it again", () => at("take")?.click()]];
  box("lapsed", "Your claim has lapsed: somebody else may take this alert now. What you typed stays.", { actions: again });
  speak("Your claim has lapsed.");
}

/** Each second: is the claim over? Somebody else's may have gone on unheard: `again(id)` looks at the alert anew. */
export function tick(again) {
  const one = main();
  if (!one?.dataset.holder || Number(one.dataset.lease) > now()) return;
  if (one.dataset.holder === me) return lapsed();
  if (document.hidden) return;
  free(one);
  again(one.dataset.alert);
}
