// The board: asks /v1/board each second and shows it. Data reach the page as text only (textContent), never as markup.
"use strict";

const EVERY_MS = 1000;
const SIGNED_OUT_EVERY_MS = 60000;
const PATIENCE_MS = 5000;
const SPEAK_EVERY_MS = 15000;
/** The board asks by itself: it is no sign that somebody is there, and keeps no session alive. */
const BACKGROUND = { "tripline-background": "1" };
const SVG = "http://www.w3.org/2000/svg";

const at = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const clockTime = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const rows = new Map();
let spokenAt = 0;
let connected = false;
let firstView = true;

/** An element with classes, attributes and children; a child that is text stays text. */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Sets text only where it changed: selections and screen readers are left in peace. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function figure(id, number, unit) {
  const element = at(id);
  const text = unit ? `${number} ${unit}` : number;
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(number);
  if (unit) element.append(el("small", {}, ` ${unit}`));
}

const moneyFormats = new Map();
function money(minor, currency) {
  if (!moneyFormats.has(currency)) moneyFormats.set(currency, new Intl.NumberFormat("en", { style: "currency", currency }));
  const format = moneyFormats.get(currency);
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function count(number) {
  return number < 1e6 ? whole.format(number) : compact.format(number);
}

function rateText(rate) {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : whole.format(Math.round(rate));
}

function latency(ms) {
  if (ms === null) return ["–", ""];
  if (ms >= 1000) return [(ms / 1000).toFixed(2), "s"];
  return [ms < 10 ? ms.toFixed(2) : ms.toFixed(0), "ms"];
}

function duration(seconds) {
  const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"], [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
  const from = parts.findIndex(([value]) => value > 0);
  if (from < 0) return "0 s";
  return parts.slice(from, from + 2).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

function decimals(value) {
  return Number.isInteger(value) ? whole.format(value) : value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** A round number not below the highest rate. */
function roof(highest) {
  const step = 10 ** Math.floor(Math.log10(Math.max(highest, 1)));
  return [1, 1.5, 2, 3, 5, 7.5, 10].map((factor) => factor * step).find((top) => top >= highest);
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function chart(rates, now) {
  const highest = Math.max(0, ...rates);
  const top = roof(highest);
  const points = rates.map((rate, index) => [60 - rates.length + index, 40 - (rate / top) * 40]);
  const line = points.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L");
  const label = `Payments a second over the last minute: now ${rateText(now)}, highest ${rateText(highest)}`;
  const drawing = svg("svg", { viewBox: "0 0 59 40", preserveAspectRatio: "none", role: "img", "aria-label": label });
  for (const y of [0, 20, 40]) drawing.append(svg("line", { class: "grid", x1: 0, x2: 59, y1: y, y2: y }));
  if (points.length > 1) {
    const first = points[0][0];
    drawing.append(svg("path", { class: "area", d: `M${first} 40L${line}L59 40Z` }));
    drawing.append(svg("path", { class: "curve", d: `M${line}` }));
  }
  at("chart").replaceChildren(drawing);
  say(at("chart-top"), rates.length ? `last minute, top line ${whole.format(top)}/s` : "");
}

function track(share) {
  const bar = el("span");
  bar.style.inlineSize = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return el("div", { class: "track", "aria-hidden": "true" }, bar);
}

function bars(verdicts) {
  const total = verdicts.reduce((sum, row) => sum + row.count, 0);
  at("verdicts").replaceChildren(...verdicts.map((row) => {
    const share = total ? row.count / total : 0;
    const percent = share > 0 && share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(1)} %`;
    const bar = track(share);
    if (row.count === 0) bar.replaceChildren();
    return el("li", { "data-verdict": row.verdict },
      el("span", { class: "name" }, row.verdict), bar,
      el("span", { class: "count" }, count(row.count), " ", el("span", { class: "share" }, percent)));
  }));
}

function fact(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value));
}

function reason(row) {
  const item = el("li", {}, el("p", {}, row.text || row.code));
  const usual = row.norm === null ? "" : `, usual ${decimals(row.norm)}`;
  if (row.value !== null) item.append(el("p", { class: "norm" }, `here ${decimals(row.value)}${usual}`));
  return item;
}

function details(alert) {
  const facts = el("dl", { class: "facts" },
    fact("Payment", alert.transaction_id),
    fact("Paid", new Date(alert.event_time_ms).toISOString().replace("T", " ").replace(".000Z", " UTC").replace("Z", " UTC")),
    fact("Expected loss", money(alert.expected_loss_minor, alert.currency)),
    fact("Rule", alert.rule), fact("Model", alert.model ?? "none"),
    ...alert.entities.map((entity) => fact(entity.entity, entity.key)));
  const values = el("dl", { class: "values" }, ...alert.features.map((feature) => fact(feature.name, feature.value)));
  return [facts, el("div", { class: "split" },
    el("div", {}, el("h3", {}, "Reasons"), el("ul", { class: "reasons" }, ...alert.reasons.map(reason))),
    el("div", {}, el("h3", {}, "Features"), values))];
}

/** The row of an alert and the row below it that opens. */
function alertRows(alert, index) {
  const id = `details-${index}`;
  const who = alert.entities[0] ?? { entity: "", key: "none" };
  const raised = new Date(alert.raised_at_ms);
  const why = alert.reasons.map((row) => row.text || row.code).join("; ") || "no reason given";
  const button = el("button", { type: "button", class: "open", "aria-expanded": "false", "aria-controls": id, "aria-label": `Details of payment ${alert.transaction_id}` });
  const score = alert.score === null ? "none" : alert.score.toFixed(3);
  const cell = (name, ...content) => el("td", { role: "cell", class: name }, ...content);
  const row = el("tr", { role: "row", class: "row", "data-verdict": alert.verdict },
    cell("more", button),
    cell("at", el("time", { datetime: raised.toISOString() }, clockTime.format(raised))),
    cell("who key", who.key),
    cell("sum number", money(alert.amount_minor, alert.currency)),
    cell("chance", el("div", { class: "score" }, el("span", {}, score), track(alert.score ?? 0))),
    cell("verdict", el("span", { class: "badge" }, alert.verdict)),
    cell("why", why));
  row.querySelector(".who").title = who.entity;
  row.querySelector(".why").title = why;
  const inside = el("td", { role: "cell", colspan: "7" });
  const below = el("tr", { role: "row", class: "details", id, hidden: "" }, inside);
  const toggle = () => {
    below.hidden = !below.hidden;
    if (!below.hidden && !inside.firstChild) inside.append(...details(alert));
    button.setAttribute("aria-expanded", String(!below.hidden));
  };
  row.addEventListener("click", () => {
    if (String(window.getSelection()) === "") toggle();
  });
  return { row, below };
}

let made = 0;
/** Rows are kept while their alert is: what is open stays open, what has the focus keeps it. */
function alerts(list) {
  const body = at("rows");
  const seen = new Set();
  let next = body.firstChild;
  for (const alert of list) {
    const key = `${alert.alert_id} ${alert.raised_at_ms}`;
    if (seen.has(key)) continue;
    seen.add(key);
    let pair = rows.get(key);
    if (!pair) {
      pair = alertRows(alert, made++);
      if (!firstView) pair.row.classList.add("fresh");
      rows.set(key, pair);
      body.insertBefore(pair.row, next);
      body.insertBefore(pair.below, next);
    } else if (pair.row === next) {
      next = pair.below.nextSibling;
    } else {
      body.insertBefore(pair.row, next);
      body.insertBefore(pair.below, next);
    }
  }
  for (const [key, pair] of rows) {
    if (seen.has(key)) continue;
    pair.row.remove();
    pair.below.remove();
    rows.delete(key);
  }
  const any = seen.size > 0;
  if (any) say(at("who"), list[0].entities[0]?.entity ?? "entity");
  at("table").hidden = !any;
  at("empty").hidden = any;
  say(at("alerts-note"), any ? `newest first, ${seen.size} shown` : "");
}

function emptiness(view) {
  const some = view.totals.decided > 0;
  say(at("empty-title"), some ? "No alerts so far" : "No payments yet");
  say(at("empty-text"), some
    ? `${whole.format(view.totals.decided)} payments decided, and none of them needs a person.`
    : "The board fills by itself as soon as the first payment is decided.");
}

function state(name, text) {
  at("state").dataset.state = name;
  say(at("state-text"), text);
}

function readiness(ready) {
  const waiting = ready.parts.filter((part) => !part.ready);
  at("notice").hidden = waiting.length === 0;
  say(at("notice"), waiting.map((part) => `${part.part}: ${part.reason}`).join(" · "));
  if (waiting.length) state("warn", "Not ready");
  else state("ok", "Ready");
}

/** For screen readers: now and then, not each second. */
function speak(text, now) {
  if (now - spokenAt < SPEAK_EVERY_MS) return;
  spokenAt = now;
  say(at("spoken"), text);
}

function show(view) {
  readiness(view.readiness);
  say(at("version"), `version ${view.version}`);
  say(at("uptime"), `up ${duration(view.uptime_s)}`);
  figure("rate", rateText(view.rate));
  figure("decided", count(view.totals.decided));
  figure("alert-count", count(view.totals.alerts));
  figure("dead-letters", count(view.totals.dead_letters));
  figure("p99", ...latency(view.p99_ms));
  figure("p50", ...latency(view.p50_ms));
  chart(view.rates, view.rate);
  bars(view.verdicts);
  emptiness(view);
  alerts(view.alerts);
  firstView = false;
  const { decided, alerts: raised, dead_letters: dead } = view.totals;
  speak(`${rateText(view.rate)} payments a second, ${whole.format(decided)} decided, ${whole.format(raised)} alerts, ${whole.format(dead)} dead letters`, Date.now());
}

function lost(text) {
  state("lost", text);
  if (connected) say(at("spoken"), text);
  connected = false;
  spokenAt = 0;
}

async function look() {
  let view;
  let isSignedOut = false;
  try {
    const answer = await fetch("/v1/board", { headers: BACKGROUND, signal: AbortSignal.timeout(PATIENCE_MS) });
    isSignedOut = answer.status === 401;
    if (!answer.ok) throw new Error(String(answer.status));
    view = await answer.json();
  } catch {
    lost(isSignedOut ? "Signed out" : "Connection lost, trying again");
  }
  if (view) {
    connected = true;
    show(view);
  }
  // Somebody may sign in again in another tab.
  setTimeout(look, isSignedOut ? SIGNED_OUT_EVERY_MS : EVERY_MS);
}

look();
