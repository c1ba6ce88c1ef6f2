// What the page says: boxes on top, toasts below, words for a screen reader, dialogs; and times that stay true.
// What comes from outside reaches the page as text only (textContent), never as markup.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** From so many of a unit on the next smaller one is left out. */
const COARSE = 10;
/** How often "5 min ago" is made true again. */
const SLOW_MS = 10 * SECOND;

export const at = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is text stays text. */
export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function button(word, does) {
  const element = el("button", { type: "button" }, word);
  element.addEventListener("click", does);
  return element;
}

const boxed = (name) => document.querySelector(`#boxes > [data-box="${name}"]`);
export const isBoxed = (name) => boxed(name) !== null;

/** A box on top of the page, read out at once; one of the same name is replaced. `actions` are [word, what it does]. */
export function box(name, text, { tone = "review", actions = [], closes = true } = {}) {
  const old = boxed(name);
  if (old && old.firstChild.textContent === text) return;
  old?.remove();
  const all = actions.map(([word, does]) => button(word, does));
  if (closes) all.push(button("Close", () => unbox(name)));
  at("boxes").append(el("div", { class: "box", role: "alert", "data-box": name, "data-tone": tone }, el("p", {}, text), ...all));
}

export function unbox(name) {
  boxed(name)?.remove();
}

/** A line at the bottom that goes by itself; with `until` it counts down to that time of the service. */
export function toast(text, { until, actions = [], ms = 8 * SECOND } = {}) {
  const name = until ? "undo" : "said";
  const line = el("p", {}, text);
  const all = actions.map(([word, does]) => button(word, () => (element.remove(), does())));
  const element = el("div", { class: "toast", "data-toast": name }, line, ...all);
  if (until) line.append(" ", el("span", { "data-left": until }, left(until)));
  element.append(button("Close", () => element.remove()));
  document.querySelector(`#toasts > [data-toast="${name}"]`)?.remove();
  at("toasts").append(element);
  setTimeout(() => element.remove(), until ? Math.max(0, until - now()) : ms);
  return element;
}

/** For a screen reader, when it has nothing else to say. */
export function speak(text) {
  at("spoken").textContent = text;
}

let asks = 0;

/** Opens a dialog; gives the word of the button that closed it, empty when it was left. */
export function asked(id) {
  const dialog = at(id);
  const own = (asks += 1);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      // That it was closed the time before is heard late: by then it may be open again.
      if (own === asks && dialog.open) return;
      dialog.removeEventListener("close", closed);
      resolve(own === asks ? dialog.returnValue : "");
    };
    dialog.addEventListener("close", closed);
  });
}

export const isAsking = () => document.querySelector("dialog[open]") !== null;

// --- Money and times -------------------------------------------------------------------------------------------------

const moneyFormats = new Map();
/** Minor units as text; a currency that the browser does not know is written behind the number of minor units. */
export function money(minor, currency) {
  try {
    if (!moneyFormats.has(currency)) {
      moneyFormats.set(currency, new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "code" }));
    }
    const format = moneyFormats.get(currency);
    const digits = format.resolvedOptions().maximumFractionDigits;
    const parts = format.formatToParts(minor / 10 ** digits);
    const number = parts.filter(({ type }) => !["currency", "literal"].includes(type));
    return `${number.map(({ type, value }) => (type === "group" ? "\u202f" : value)).join("")}\u202f${currency}`;
  } catch {
    return `${minor} ${currency}`;
  }
}

/** How far the service's clock is before this one's. */
let ahead = Number(document.body.dataset.now) - Date.now();
export const now = () => Date.now() + ahead;

/** The service told its time just now. */
export function told(ms) {
  if (Number.isFinite(ms)) ahead = ms - Date.now();
}

/** How long, in its two largest units: as the service writes it. */
export function span(ms) {
  const whole = Math.max(0, ms);
  const two = (large, unit, rest, small) => (rest && large < COARSE ? `${large} ${unit} ${rest} ${small}` : `${large} ${unit}`);
  if (whole < MINUTE) return `${Math.floor(whole / SECOND)} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min`;
  if (whole < DAY) return two(Math.floor(whole / HOUR), "h", Math.floor((whole % HOUR) / MINUTE), "min");
  if (whole < COARSE * DAY) return two(Math.floor(whole / DAY), "d", Math.floor((whole % DAY) / HOUR), "h");
  return `${Math.floor(whole / DAY)} d`;
}

/** How long, in its largest unit. */
function coarse(ms) {
  if (ms < HOUR) return span(ms);
  return ms < DAY ? `${Math.floor(ms / HOUR)} h` : `${Math.floor(ms / DAY)} d`;
}

/** A countdown, `4:12`. */
export function left(until) {
  const seconds = Math.max(0, Math.ceil((until - now()) / SECOND));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function relative(ms) {
  const since = now() - ms;
  if (Math.abs(since) < SECOND) return "now";
  return since > 0 ? `${span(since)} ago` : `in ${span(-since)}`;
}

function due(element) {
  const ms = Number(element.dataset.due) - now();
  element.classList.toggle("late", ms <= 0);
  element.classList.toggle("soon", ms > 0 && ms < HOUR);
  element.classList.toggle("calm", ms >= HOUR);
  return ms <= 0 ? `late ${span(-ms)}` : span(ms);
}

/** Sets text only where it changed: selections and screen readers are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function fast() {
  for (const one of document.querySelectorAll("[data-left]")) {
    say(one, left(Number(one.dataset.left)));
    one.classList.toggle("soon", Number(one.dataset.left) - now() < MINUTE);
  }
}

/** Makes every time on the page true. */
export function times() {
  fast();
  for (const one of document.querySelectorAll("[data-ms]")) say(one, relative(Number(one.dataset.ms)));
  for (const one of document.querySelectorAll("[data-age]")) say(one, coarse(now() - Number(one.dataset.age)));
  for (const one of document.querySelectorAll("[data-due]")) say(one, due(one));
}

setInterval(fast, SECOND);
setInterval(times, SLOW_MS);
