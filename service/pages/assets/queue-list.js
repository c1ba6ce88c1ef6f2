// The list: moving by key, selecting, deciding many at once, filters and columns; and rows that come anew while somebody
// looks at them, without taking the focus or the selection away.

import { BACKGROUND, part, send, trouble, word, brief } from "./queue-ask.js";
import { el, at, asked, money, now, say, speak, times, told } from "./queue-say.js";
import { done } from "./queue-undo.js";

const MOST = 500;
/** Rows do not move under a pointer that is about to press. */
const STILL_MS = 1_200;
const SPEAK_EVERY_MS = 10_000;
const table = () => at("alerts");
const rows = () => [...table().querySelectorAll("tbody tr[data-alert]")];
const idOf = (row) => row?.dataset.alert;
let here = null;
let pointerAt = 0;
let spokenAt = 0;
let later = null;

// --- Moving ----------------------------------------------------------------------------------------------------------

function hereIs(row) {
  here = idOf(row) ?? null;
  for (const one of rows()) one.classList.toggle("here", one === row);
}

const current = () => rows().find((row) => idOf(row) === here);

/** The next row, or the one before. */
export function move(by) {
  const all = rows();
  if (!all.length) return;
  const place = all.indexOf(current());
  const row = all[place < 0 ? 0 : Math.min(all.length - 1, Math.max(0, place + by))];
  hereIs(row);
  row.querySelector("th a").focus();
  row.scrollIntoView({ block: "nearest" });
}

export function open() {
  const row = current() ?? rows()[0];
  if (row) location.assign(row.querySelector("th a").href);
}

// --- Many at once ----------------------------------------------------------------------------------------------------

const boxOf = (row) => row?.querySelector('td.select input:not(:disabled)');
const selected = () => rows().filter((row) => boxOf(row)?.checked);

export function select() {
  const box = boxOf(current());
  if (!box) return;
  box.checked = !box.checked;
  bar();
}

/** How many are selected, and how much is at risk in them. */
function bar() {
  const form = at("bulk");
  if (!form) return;
  const chosen = selected();
  form.hidden = chosen.length === 0;
  say(at("bulk-count"), count(chosen));
  say(at("bulk-sum"), `${sum(chosen)} at risk`);
}

function sum(chosen) {
  const sums = new Map();
  for (const { dataset } of chosen) sums.set(dataset.currency, (sums.get(dataset.currency) ?? 0) + Number(dataset.loss));
  return [...sums].map(([currency, minor]) => money(minor, currency)).join(" + ");
}

function reasons() {
  const disposition = at("bulk-disposition").value;
  const from = document.querySelector(`template[data-reasons="${disposition}"]`);
  const none = () => el("option", { value: "" }, "Choose a reason");
  at("bulk-reason").replaceChildren(from ? from.content.cloneNode(true) : none());
  at("bulk-reason").disabled = !from;
  at("bulk-block-line").hidden = disposition !== "fraud";
  if (disposition !== "fraud") at("bulk-block").checked = false;
}

async function decide() {
  const chosen = selected().slice(0, MOST);
  const [disposition, reason, block] = [at("bulk-disposition").value, at("bulk-reason").value, at("bulk-block").checked];
  say(at("confirm-title"), `Decide ${count(chosen)}: ${word(disposition)}?`);
  say(at("confirm-what"), follows(chosen, disposition, block));
  if ((await asked("confirm")) !== "yes") return;
  const alerts = chosen.map(({ dataset }) => ({ alert_id: dataset.alert, version: Number(dataset.version) }));
  const answer = await send("POST", "/v1/alerts/bulk", { body: { alerts, disposition, reason, block } });
  if (!answer.ok) return trouble(answer, reload);
  const { items, action_id, undo_until } = answer.data;
  const decided = items.filter((item) => item.done);
  const failed = items.filter((item) => !item.done);
  const texts = decided.length ? [outcome(decided, disposition)] : [];
  if (failed.length) texts.push(`${failed.length} not done, the first: ${brief(failed[0].problem)}`);
  done(texts.join(" "), decided.length ? { action_id, until: undo_until } : null);
  for (const row of selected()) boxOf(row).checked = false;
  at("bulk").reset();
  reasons();
  await reload();
}

const count = ({ length }) => (length === 1 ? "1 alert" : `${length} alerts`);

/** What the verdict will do, before it is said. */
function follows(chosen, disposition, block) {
  const labels = { fraud: "Their payments are labelled fraud.", legitimate: "Their payments are labelled legitimate." };
  const texts = [`${sum(chosen)} at risk.`, labels[disposition] ?? "Nothing is labelled."];
  if (block) texts.push("What they are about is blocked.");
  // As many as no one decides alone; the service says from how many on.
  const isMany = chosen.length >= Number(at("bulk").dataset.secondPerson);
  const large = chosen.filter(({ dataset }) => "large" in dataset).length;
  const weighs = block || disposition in labels;
  if (isMany) texts.push("These need a second person: nothing is done before a lead agrees.");
  else if (large && weighs) texts.push(large === 1 ? "1 of them needs a second person." : `${large} of them need a second person.`);
  return `${texts.join(" ")} It can be undone for a while.`;
}

/** What came of it: what waits for a second person is not resolved. */
function outcome(decided, disposition) {
  const waiting = decided.filter(({ alert }) => alert.state === "proposed").length;
  const resolved = decided.length - waiting;
  const wait = (n) => (n === 1 ? "waits for a second person" : "wait for a second person");
  if (!waiting) return `${count(decided)} resolved as ${word(disposition)}.`;
  if (!resolved) return `${count(decided)} ${wait(waiting)}: ${word(disposition)}.`;
  return `${waiting} ${wait(waiting)}, ${resolved} resolved as ${word(disposition)}.`;
}

// --- Rows come anew --------------------------------------------------------------------------------------------------

/** Something changed: the rows come anew, but not from under a pointer that moves. */
export function stir() {
  // Where something changes all the time one would else wait for a pause that never comes.
  if (later !== null) return;
  const rest = STILL_MS - (Date.now() - pointerAt);
  later = setTimeout(() => {
    later = null;
    if (STILL_MS > Date.now() - pointerAt) stir();
    else reread(BACKGROUND);
  }, Math.max(400, rest));
}

const reload = () => reread({});

async function reread(headers) {
  const query = document.querySelector("main.list").dataset.query;
  if (query === undefined) return;
  const answer = await part(`/queue/rows${query ? `?${query}` : ""}`, headers);
  const next = answer && new DOMParser().parseFromString(`<table>${answer.text}</table>`, "text/html").querySelector("tbody");
  if (!next) return;
  const before = rows().map(idOf);
  const checked = new Set(selected().map(idOf));
  const focus = document.activeElement;
  const held = focus && at("rows").contains(focus) ? { id: idOf(focus.closest("tr")), box: focus.type === "checkbox" } : null;
  at("rows").replaceWith(document.adoptNode(next));
  told(Number(next.dataset.now));
  for (const row of rows()) {
    if (checked.has(idOf(row)) && boxOf(row)) boxOf(row).checked = true;
    if (!before.includes(idOf(row))) row.classList.add("fresh");
  }
  if (here) hereIs(current());
  if (held) refocus(held, before);
  bar();
  times();
  said(before, rows().map(idOf));
}

/** The focus stays on its row; where that has gone, it goes to the one that stands there now. */
function refocus({ id, box }, before) {
  const all = rows();
  const row = all.find((one) => idOf(one) === id) ?? all[Math.min(all.length - 1, before.indexOf(id))];
  if (!row) return at("alerts").closest("main").querySelector("a")?.focus();
  hereIs(row);
  ((box && boxOf(row)) || row.querySelector("th a")).focus({ preventScroll: true });
}

function said(before, after) {
  if (before.join() === after.join() || Date.now() - spokenAt < SPEAK_EVERY_MS) return;
  spokenAt = Date.now();
  const fresh = after.filter((id) => !before.includes(id)).length;
  speak(fresh ? `The list was updated: ${fresh} new.` : "The list was updated.");
}

// --- Claims of the rows ----------------------------------------------------------------------------------------------

/** The claim on an alert goes on until then; false when its row shows another one. */
export function lasts(id, holder, until) {
  const row = table() && rows().find((one) => idOf(one) === id);
  if (!row) return true;
  const left = row.querySelector("td.holder [data-left]");
  if (!left || row.dataset.holder !== holder || !(until > 0)) return false;
  left.dataset.left = until;
  return true;
}

/** Claims that are over are nobody's; whether there were any. */
export function lapse() {
  if (!table() || document.hidden) return false;
  const all = [...table().querySelectorAll("td.holder [data-left]")];
  const over = all.filter(({ dataset }) => Number(dataset.left) <= now());
  for (const one of over) one.closest("td").replaceChildren(el("span", { class: "soft" }, "nobody"));
  return over.length > 0;
}

// --- Filters and columns ---------------------------------------------------------------------------------------------

async function save() {
  const name = at("filter-name").value.trim();
  if (!name) return at("filter-name").focus();
  const query = document.querySelector("main.list").dataset.query;
  const answer = await send("PUT", `/v1/filters/${encodeURIComponent(name)}`, { body: { query } });
  if (answer.ok) location.reload();
  else trouble(answer);
}

async function forgetFilter(button) {
  const answer = await send("DELETE", `/v1/filters/${encodeURIComponent(button.dataset.forget)}`);
  if (answer.ok) button.closest("li").remove();
  else trouble(answer);
}

const HIDDEN = "tripline:columns";
const hidden = () => new Set((localStorage.getItem(HIDDEN) ?? "").split(" ").filter(Boolean));

function columns() {
  const off = hidden();
  for (const input of document.querySelectorAll("[data-column]")) {
    input.checked = !off.has(input.dataset.column);
    table().classList.toggle(`hide-${input.dataset.column}`, !input.checked);
  }
}

function column({ dataset, checked }) {
  const off = hidden();
  if (checked) off.delete(dataset.column);
  else off.add(dataset.column);
  localStorage.setItem(HIDDEN, [...off].join(" "));
  columns();
}

/** The page has a list. */
export function listPage() {
  if (!table()) return;
  columns();
  bar();
  table().addEventListener("pointermove", () => (pointerAt = Date.now()), { passive: true });
  table().addEventListener("focusin", ({ target }) => hereIs(target.closest("tr[data-alert]")));
  document.addEventListener("change", ({ target }) => {
    if (target.closest("td.select")) bar();
    if (target.dataset.column) column(target);
    if (target.id === "bulk-disposition") reasons();
  });
  at("bulk")?.addEventListener("submit", (event) => (event.preventDefault(), decide()));
  at("bulk-none")?.addEventListener("click", () => {
    for (const row of selected()) boxOf(row).checked = false;
    bar();
  });
  at("filter-save")?.addEventListener("click", save);
  // Enter in the name's field keeps the filter, instead of sending the form around it.
  at("filter-name")?.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), save()));
  at("saved")?.addEventListener("click", ({ target }) => target.dataset.forget && forgetFilter(target));
  document.addEventListener("click", ({ target }) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  });
}
