// An alert's page: the verdict and the other actions, the next alert at once, and what changed meanwhile.
//
// <main> is exchanged as a whole, by markup of the service that it escaped; everything else is said as text.

import { BACKGROUND, act, alertPath, changed, part, send, trouble, word } from "./queue-ask.js";
import { forget, keep, moved, typed, watch } from "./queue-draft.js";
import { look } from "./queue-live.js";
import { asked, at, box, el, now, say, speak, span, times, toast, told, unbox } from "./queue-say.js";
import { done } from "./queue-undo.js";

const MASK_AGAIN_MS = 30_000;
const PEEK_AFTER_MS = 5_000;
const me = document.body.dataset.me;
export const main = () => document.querySelector("main[data-alert]");
let ahead = null;
let peeking = null;
let isBusy = false;
let running = Promise.resolve();
let waits = false;
let missed = null;

/** One change at a time: a key that is pressed twice does nothing twice. */
export async function once(does) {
  if (isBusy) return;
  isBusy = true;
  running = (async () => {
    try {
      await does();
    } finally {
      isBusy = false;
      if (missed) changedMeanwhile(missed);
    }
  })();
  await running;
}

/** The same, but not dropped while another runs: for undo, which is pressed when something just went wrong. */
export async function afterwards(does) {
  if (waits) return;
  waits = true;
  while (isBusy) await running.catch(() => {});
  waits = false;
  await once(does);
}

// --- Which alert is shown --------------------------------------------------------------------------------------------

/** The page shows another alert. */
function shown() {
  const one = main();
  document.title = `${one.dataset.title} · Tripline`;
  watch();
  chosen();
  times();
  look(one.dataset.alert);
  if (!ahead || ahead.id === one.dataset.alert) prefetch(0);
}

/** Puts another <main> in this one's place. */
function exchange(text) {
  const next = new DOMParser().parseFromString(text, "text/html").querySelector("main[data-alert]");
  if (!next) return false;
  document.querySelector("main").replaceWith(document.adoptNode(next));
  return true;
}

/** Shows another alert; with `text` at once, else as soon as it is there. */
export async function show(id, { text = null, push = true } = {}) {
  const markup = text ?? (await part(`${alertPath(id)}?part=main`))?.text;
  if (!markup || !main() || !exchange(markup)) return location.assign(alertPath(id));
  if (!text) told(Number(main().dataset.now));
  if (push) history.pushState({}, "", alertPath(id));
  for (const name of ["stale", "lapsed", "hit", "trouble"]) unbox(name);
  shown();
  scrollTo(0, 0);
  main().focus({ preventScroll: true });
  if (text) await refresh();
}

/** Shows this alert as it is now; what was typed or chosen stays, and so does the place of the cursor. */
export const refresh = () => reread({});

async function reread(headers) {
  const id = main()?.dataset.alert;
  const answer = id && (await part(`${alertPath(id)}?part=main`, headers));
  if (!answer || main()?.dataset.alert !== id) return;
  const before = entered();
  const version = Number(main().dataset.version);
  if (!exchange(answer.text)) return;
  told(Number(main().dataset.now));
  entered(before);
  shown();
  if (Number(main().dataset.version) !== version) unbox("stale");
}

/** What is entered; or enters it again, where there is still a place for it. */
function entered(again) {
  const form = at("verdict");
  const note = at("note");
  if (!again) {
    const focus = document.activeElement;
    const text = note && { value: note.value, from: note.selectionStart, to: note.selectionEnd, was: note.defaultValue };
    const choice = form && { disposition: form.disposition.value, reason: form.reason.value, block: form.block?.checked };
    const place = focus && main().contains(focus) ? focus.id || `[name="${focus.name}"][value="${focus.value}"]` : null;
    return { note: text, choice, place };
  }
  if (note && again.note && again.note.value !== again.note.was) note.value = again.note.value;
  if (form && again.choice?.disposition) {
    form.disposition.value = again.choice.disposition;
    chosen();
    form.reason.value = again.choice.reason;
    if (form.block) form.block.checked = again.choice.block;
  }
  if (!again.place) return;
  const focus = again.place.startsWith("[name=") ? form?.querySelector(again.place) : at(again.place);
  (focus ?? main()).focus({ preventScroll: true });
  if (focus === note && note && again.note) note.setSelectionRange(again.note.from, again.note.to);
}

/** The best alert that nobody holds is fetched before it is asked for. */
export function prefetch(after = PEEK_AFTER_MS) {
  if (!at("verdict") || peeking !== null) return;
  peeking = setTimeout(async () => {
    const id = main()?.dataset.alert;
    const answer = id && (await part(`/queue/peek?after=${encodeURIComponent(id)}`, BACKGROUND));
    ahead = answer ? { id: answer.alert, text: answer.text } : null;
    peeking = null;
  }, after);
}

/** Claims the next alert and shows it; back to the list when there is none. */
export async function next() {
  const answer = await send("POST", "/v1/alerts/claim-next");
  if (!answer.ok) return trouble(answer);
  if (answer.status === 204) {
    if (!main() && at("rows")) return toast("Nothing waits: every alert is looked after.");
    sessionStorage.setItem("tripline:say", "That was the last one: nothing waits any more.");
    return location.assign("/queue");
  }
  const alert = answer.data;
  const text = ahead?.id === alert.alert_id ? ahead.text : null;
  ahead = null;
  speak(`Next: ${alert.entity} ending in ${alert.key.slice(-4)}. ${alert.why}`);
  return main() ? show(alert.alert_id, { text }) : location.assign(alertPath(alert.alert_id));
}

// --- What is done with it --------------------------------------------------------------------------------------------

/** Verdicts that label payments, by the word that they label them with. */
const LABELS = ["fraud", "legitimate"];

/** A verdict is chosen: its reasons, and what it will do. */
export function chosen() {
  const form = at("verdict");
  if (!form) return;
  const disposition = form.disposition.value;
  if (!disposition) return;
  const reasons = document.querySelector(`template[data-reasons="${disposition}"]`);
  if (form.reason.dataset.of !== disposition) {
    form.reason.replaceChildren(reasons.content.cloneNode(true));
    form.reason.dataset.of = disposition;
  }
  const line = at("block-line");
  if (line) line.hidden = disposition !== "fraud";
  if (line?.hidden) form.block.checked = false;
  will();
}

/** Says what the chosen verdict will do. */
export function will() {
  const form = at("verdict");
  const disposition = form.disposition.value;
  if (!disposition) return;
  const { payments, secondPerson } = form.dataset;
  const words = [labels(Number(payments), disposition)];
  if (form.block?.checked) words.push(`blocks the ${form.dataset.entity}`);
  const line = at("will");
  line.classList.remove("wrong");
  const undo = [el("span", { class: "without-keys" }, "undo"), el("kbd", {}, "u")];
  const does = words.join(" and ");
  const time = span(Number(form.dataset.undo));
  // One that labels nothing blocks nothing, and nobody has to agree to it.
  if (secondPerson && LABELS.includes(disposition)) {
    line.replaceChildren(el("strong", {}, `A second person has to agree: ${secondPerson}.`), ` Then it ${does}. For ${time} `, ...undo, " takes it back.");
  } else line.replaceChildren(`It ${does}, in ${time}; until then `, ...undo, " takes it back.");
}

function labels(payments, disposition) {
  if (!LABELS.includes(disposition)) return "labels nothing";
  if (payments === 0) return "labels no payment";
  return `labels ${payments === 1 ? "1 payment" : `${payments} payments`} ${disposition}`;
}

/** A key chooses a verdict; the reason is next. */
export function choose(place) {
  const radio = at("verdict")?.querySelectorAll('[name="disposition"]')[place - 1];
  if (!radio) return;
  radio.checked = true;
  chosen();
  at("reason").focus();
}

/** Says the verdict. */
export async function decide() {
  const one = main();
  const form = at("verdict");
  const [disposition, reason, note] = [form.disposition.value, form.reason.value, form.note.value.trim()];
  if (!disposition || !reason) {
    at("will").classList.add("wrong");
    say(at("will"), disposition ? "A reason is required: choose one." : "Choose a verdict first.");
    return disposition ? form.reason.focus() : undefined;
  }
  if (reason === "other" && !note) {
    at("will").classList.add("wrong");
    say(at("will"), "This reason says “see the note”: write one, then decide.");
    return form.note.focus();
  }
  const body = { disposition, reason, block: form.block?.checked ?? false };
  if (note) body.note = note;
  const { alert: id, version } = one.dataset;
  const answer = await act(id, "resolve", version, body);
  if (!answer.ok) return refused(answer, id, form.note.value);
  forget(id);
  const { entity, key, state } = answer.data;
  const verdict = state === "proposed" ? `${word(disposition)} proposed, a second person has to agree` : word(disposition);
  done(`${entity} ${key}: ${verdict}.`, answer.data.undo, id);
  await next();
}

/** It was not saved: what was typed stays, here and in this browser. */
function refused(answer, id, note = at("note")?.value) {
  if (note) keep(id, note);
  trouble(answer, refresh);
}

/** Something else is done with it; then it is shown as it is now, or the next one. */
const change = (word, body, { text, then = () => refresh() }) => once(async () => {
  const { alert: id, version } = main().dataset;
  const answer = await act(id, word, version, body);
  if (!answer.ok) return refused(answer, id);
  unbox("stale");
  const { entity, key, undo } = answer.data;
  if (text) done(`${entity} ${key}: ${text}`, undo, id);
  return then(answer.data);
});

export const take = () => {
  const word = at("take")?.dataset.does;
  const { holder } = main().dataset;
  const text = word !== "release" ? null : holder === me ? "given back." : `released, ${holder} held it.`;
  if (word) return change(word, undefined, { text });
};

/** Asks in a dialog; what was typed into its field is forgotten when it is left. */
async function answered(dialog, field) {
  const answer = await asked(dialog);
  if (!answer) at(field).value = "";
  return answer;
}

export async function snooze() {
  if (!at("snooze-button")) return;
  const chosen = await answered("snooze", "snooze-until");
  const own = new Date(at("snooze-until").value).getTime();
  const ms = chosen === "until" ? own : now() + Number(chosen) * 60_000;
  if (!chosen) return;
  if (!Number.isFinite(ms)) return toast("Choose a day and a time.");
  const until = new Date(ms).toISOString();
  await change("snooze", { until }, { text: `snoozed for ${span(ms - now())}.`, then: next });
}

export async function escalate() {
  if (!at("escalate-button")) return;
  const field = at("escalate-why");
  const { alert: id } = main().dataset;
  // What the service did not take stays for another try; it is about its own alert.
  if (field.dataset.of !== id) field.value = "";
  field.dataset.of = id;
  if (!(await answered("escalate", "escalate-why"))) return;
  const reason = field.value.trim();
  if (!reason) return toast("Say why the leads should look at it.");
  await change("escalate", { reason }, { text: "escalated to the leads.", then: () => ((field.value = ""), next()) });
}

export async function assign() {
  if (!at("assign-button")) return;
  if (!(await answered("assign", "assign-to"))) return;
  const to = at("assign-to").value.trim() || null;
  await change("assign", { to }, { text: to ? `given to ${to}.` : "given to nobody.", then: to && to !== me ? next : () => refresh() });
}

async function saveNote() {
  const id = main().dataset.alert;
  const text = at("note").value.trim();
  if (!text) return at("note").focus();
  const then = async () => {
    forget(id);
    at("note").value = at("note").defaultValue = "";
    await refresh();
    toast("The note is saved.");
  };
  await change("notes", { text }, { then });
}

export const approve = () => at("approve") && change("approve", undefined, { text: "approved." });
export const reject = () => at("reject") && change("reject", undefined, { text: "rejected, it is open again." });

/** Shows the key whole for a while; each look is written to the audit log. */
const reveal = () => once(async () => {
  const answer = await send("POST", `/v1/alerts/${encodeURIComponent(main().dataset.alert)}/reveal`, {});
  if (!answer.ok) return trouble(answer, refresh);
  const key = at("alert-key");
  const masked = [...key.childNodes];
  key.replaceChildren(el("bdi", { class: "key" }, answer.data.key));
  at("reveal").hidden = true;
  setTimeout(() => {
    key.replaceChildren(...masked);
    if (at("reveal")) at("reveal").hidden = false;
  }, MASK_AGAIN_MS);
});

/** Somebody, or a new payment, changed the alert that is shown; while something is being done it waits for that. */
export async function changedMeanwhile({ id, version }) {
  missed = isBusy ? { id, version } : null;
  if (isBusy || main()?.dataset.alert !== id || version <= Number(main().dataset.version)) return;
  const before = { ...main().dataset };
  await reread(BACKGROUND);
  const after = main().dataset;
  if (after.alert !== before.alert || after.version === before.version) return;
  const hits = Number(after.hits) - Number(before.hits);
  if (hits > 0) {
    const text = hits === 1 ? "1 new hit on this alert." : `${hits} new hits on this alert.`;
    box("hit", text);
  } else if (after.state !== before.state || (after.holder ?? null) !== (before.holder ?? null)) {
    const alert = { hits: Number(after.hits), state: after.state, holder: after.holder, version: after.version };
    if (after.holder !== me) box("hit", `Changed just now: ${changed({ ...alert, ...verdictOf() }, before)}.`);
  }
}

/** Who decided, as the page itself says it. */
function verdictOf() {
  const said = document.querySelector("#act .verdict-said");
  return { disposition: said?.dataset.disposition, resolved_by: said?.dataset.by };
}

/** The page is an alert's. */
export function alertPage() {
  shown();
  addEventListener("popstate", () => {
    const id = /^\/queue\/([^/]+)$/.exec(location.pathname)?.[1];
    if (id) show(decodeURIComponent(id), { push: false });
    else location.reload();
  });
  document.addEventListener("input", ({ target }) => {
    if (target.id === "note") typed();
    if (target.name === "disposition") chosen();
    if (target.id === "block" || target.id === "reason") will();
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id === "verdict") event.preventDefault(), once(decide);
    if (event.target.id === "note-form") event.preventDefault(), saveNote();
  });
  const buttons = {
    take, reveal, approve, reject,
    "save-note": saveNote, "snooze-button": snooze, "escalate-button": escalate, "assign-button": assign,
  };
  document.addEventListener("click", ({ target }) => {
    const does = buttons[target.closest("button")?.id];
    if (does) does();
  });
  // Not "scroll": a page that comes anew may scroll by itself.
  for (const event of ["pointerdown", "keydown", "wheel", "touchmove"]) addEventListener(event, moved, { passive: true });
}
