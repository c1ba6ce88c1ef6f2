// Asking the service: one way for every change, and one place that says what went wrong. Nothing is said to be saved
// that the service did not answer for, and nothing that was typed is thrown away.

import { at, box, speak, unbox } from "./queue-say.js";

/** Longer than the service lets its database take. */
const PATIENCE_MS = 12_000;
/** What the page asks for by itself: it is no sign that somebody is there, and keeps no session alive. */
export const BACKGROUND = { "tripline-background": "1" };
const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

export const alertPath = (id) => `/queue/${encodeURIComponent(id)}`;
const apiPath = (id, act) => `/v1/alerts/${encodeURIComponent(id)}/${act}`;

/**
 * Sends a change. Gives {ok, status, data, version}; `data` is the answer or the problem. It does not throw: no answer is
 * status 0, and then it is not known whether the change was made.
 */
export async function send(method, path, { body, version, type = "application/json", within = PATIENCE_MS } = {}) {
  const headers = { "X-CSRF-Token": csrf, Accept: "application/json" };
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (body !== undefined) headers["Content-Type"] = type;
  const text = body === undefined || type !== "application/json" ? body : JSON.stringify(body);
  try {
    const answer = await fetch(path, { method, headers, body: text, signal: AbortSignal.timeout(within) });
    const data = answer.status === 204 ? null : await answer.json().catch(() => null);
    const tag = /^"(\d+)"$/.exec(answer.headers.get("ETag") ?? "");
    if (answer.ok) unbox("away");
    return { ok: answer.ok, status: answer.status, data, version: tag ? Number(tag[1]) : data?.version };
  } catch {
    return { ok: false, status: 0, data: null };
  }
}

/** Changes one alert. */
export const act = (id, word, version, body) => send("POST", apiPath(id, word), { body, version });

/** A part of a page as text; null when there is none. Says so when nobody is signed in any more. */
export async function part(path, headers = {}) {
  try {
    // A stranger is sent to where one signs in; that page is not what was asked for.
    const answer = await fetch(path, { headers, redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.type === "opaqueredirect" || answer.status === 401) signedOut();
    if (!answer.ok || answer.status === 204) return null;
    return { text: await answer.text(), alert: answer.headers.get("Tripline-Alert") };
  } catch {
    return null;
  }
}

/** The database answers, or it does not and this is why. */
export function database(why) {
  at("database").hidden = why === null;
}

export function signedOut() {
  const next = encodeURIComponent(location.pathname + location.search);
  const go = () => location.assign(`/sign-in?next=${next}`);
  // What would come back by itself does not before one signs in.
  unbox("live");
  box("signed-out", "You are signed out. Nothing more is saved until you sign in again; what you typed stays here.", {
    tone: "decline",
    actions: [["Sign in", go]],
    closes: false,
  });
}

/** Says what is wrong with an answer. `look` reloads what is shown. */
export function trouble(answer, look = () => location.reload()) {
  const { status, data } = answer;
  if (status === 401) return signedOut();
  if (status === 412 && data?.alert) return stale(data.alert, look);
  const again = [["Look again", () => look()]];
  if (status === 0) {
    const text = "The service does not answer; whether this was saved is not known. What you typed stays. Look again before you repeat it.";
    return box("away", text, { tone: "decline", actions: again });
  }
  if (data?.code === "queue_unavailable") database(data.detail ?? "");
  const text = [data?.title ?? `The service answered ${status}`, data?.detail, ...(data?.errors ?? []).map(wrong)];
  box("trouble", sentences(text), { tone: "decline", actions: isOld(status, data) ? again : [] });
}

/** Whether looking again may help: something changed, or the page is from before one signed in again. */
const isOld = (status, data) => status >= 500 || status === 409 || data?.code === "csrf_missing";

/** A problem in a line, such as one of many of a bulk action. */
export const brief = (problem) => sentences([problem?.title ?? "It was refused", problem?.detail]);

const wrong = ({ pointer, detail }) => `${pointer || "This"}: ${detail}`;

function sentences(texts) {
  const whole = texts.filter(Boolean).map((text) => text.trim().replace(/[.:]$/, ""));
  return `${whole.join(". ")}.`;
}

/** Somebody was faster: what changed, with nothing overwritten. */
function stale(alert, look) {
  const main = document.querySelector("main[data-alert]");
  const actions = [["Show it as it is now", () => (unbox("stale"), look())]];
  const seen = main?.dataset.alert === alert.alert_id ? main.dataset : {};
  const text = `This alert was changed meanwhile: ${changed(alert, seen)}. Nothing was overwritten, and what you typed stays.`;
  box("stale", text, { actions });
  speak("Not saved: the alert was changed meanwhile.");
}

/** How an alert differs from what the page shows, in words. */
export function changed(alert, seen) {
  const words = [];
  const hits = alert.hits - Number(seen.hits ?? alert.hits);
  if (hits > 0) words.push(hits === 1 ? "1 new hit" : `${hits} new hits`);
  if (alert.state === "resolved") words.push(`${alert.resolved_by ?? "somebody"} resolved it as ${word(alert.disposition)}`);
  else if (alert.state === "proposed") words.push(`${alert.resolved_by ?? "somebody"} proposed ${word(alert.disposition)}`);
  else if (alert.state === "snoozed") words.push("it is snoozed");
  else if (seen.state && seen.state !== alert.state) words.push("it is open again");
  if (alert.holder && alert.holder !== (seen.holder ?? null)) words.push(`${alert.holder} holds it`);
  else if (!alert.holder && seen.holder && alert.state === "open") words.push("nobody holds it any more");
  if (words.length === 0) words.push("a label or a detail");
  return `${words.join(", ")} (version ${alert.version})`;
}

const WORDS = { fraud: "fraud", suspected: "suspected", legitimate: "legitimate", insufficient: "not enough information" };
export const word = (disposition) => WORDS[disposition] ?? "something else";
