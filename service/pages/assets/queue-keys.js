// Keys: what each does on which page, why it does nothing where it cannot, and the switch that turns the single ones off
// (speech input and a slip of the hand press them too: WCAG 2.1.4).

import { afterwards, approve, assign, choose, escalate, main, next, once, reject, snooze, take } from "./queue-alert.js";
import { move, open, select } from "./queue-list.js";
import { asked, at, isAsking, toast } from "./queue-say.js";
import { undo } from "./queue-undo.js";

const PREFIX_MS = 1_200;
const PLACE = "tripline:keys";
const ANNOUNCED = "aria-keyshortcuts";
const ASIDE = "data-keyshortcuts";
const me = document.body.dataset.me;
let prefixAt = 0;
let areOff = false;

// --- What they do ----------------------------------------------------------------------------------------------------

const focus = (id) => at(id).focus();
const mayWork = () => at("confirm") !== null;
const ANALYST = "This takes the role of an analyst.";

const everywhere = {
  "/": () => (at("search").focus(), at("search").select()),
  "?": () => asked("help"),
  c: () => (mayWork() ? once(next) : toast(ANALYST)),
  u: () => (mayWork() ? afterwards(undo) : toast(ANALYST)),
};
const inList = { j: () => move(1), k: () => move(-1), x: select, Enter: open };
/** Each with the button or field that has to be there. */
const onAlert = {
  1: ["verdict", () => choose(1)],
  2: ["verdict", () => choose(2)],
  3: ["verdict", () => choose(3)],
  4: ["verdict", () => choose(4)],
  r: ["reason", () => focus("reason")],
  n: ["note", () => focus("note")],
  b: ["block", () => at("block").click()],
  s: ["snooze-button", snooze],
  e: ["escalate-button", escalate],
  a: ["assign-button", assign],
  t: ["take", take],
  y: ["approve", approve],
  x: ["reject", reject],
  Enter: ["verdict", () => at("verdict").requestSubmit()],
};
const afterG = { q: () => location.assign("/queue"), d: () => location.assign("/dashboard") };

/** An action if its place is on the page and can be seen; else it is said why not. */
const orWhyNot = ([id, does]) => () => {
  const there = at(id);
  if (there && !there.closest("[hidden]")) does();
  else toast(whyNot(id));
};

function whyNot(id) {
  const { bars, state } = main().dataset;
  if (id === "assign-button" && !at("assign")) return "To assign takes the role of a lead.";
  if (id === "approve" || id === "reject") return state === "proposed" ? notYours() : "No verdict on it waits for a second person.";
  if (!mayWork()) return ANALYST;
  if (id === "block" && !bars) return at("block") ? "To block goes with fraud: press 1 before." : "It cannot go on a block list.";
  // Where a verdict can be given, only what is with the leads already has no button for it.
  return bars ?? "The leads have it already.";
}

const notYours = () =>
  document.querySelector("#act .verdict-said")?.dataset.by === me
    ? "The verdict is your own: somebody else has to agree."
    : "A lead has to agree.";

function own(key) {
  if (document.body.dataset.page === "alert") return onAlert[key] && orWhyNot(onAlert[key]);
  return at("alerts") ? inList[key] : undefined;
}

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
  // Enter, Escape and Tab have names; what is one character long is a letter, a digit or a sign.
  if (areOff && key.length === 1) return;
  if (target.id === "reason") return inReason(event);
  if (isTyping(event)) return;
  const isPrefixed = Date.now() - prefixAt < PREFIX_MS;
  prefixAt = key === "g" ? Date.now() : 0;
  // Enter on a link or a button is that link's or button's own.
  if (key === "Enter" && target.closest?.("a, button, summary, input")) return;
  const does = (isPrefixed && afterG[key]) || own(key) || everywhere[key];
  if (!does || event.repeat && key !== "j" && key !== "k") return;
  event.preventDefault();
  does();
}

// --- The switch ------------------------------------------------------------------------------------------------------

/** As this browser has it; where the storage is forbidden it holds for the page. */
function kept() {
  try {
    areOff = localStorage.getItem(PLACE) === "off";
  } catch {
    // It stays as it is.
  }
  shown();
}

function shown() {
  at("single-keys").checked = !areOff;
  // The button that leads to the switch is never hidden while it is off.
  document.body.dataset.keys = areOff ? "off" : "on";
  announced();
}

/** What does nothing is announced to nobody: a single key is put aside as data. */
function announced() {
  const [from, to] = areOff ? [ANNOUNCED, ASIDE] : [ASIDE, ANNOUNCED];
  for (const one of document.querySelectorAll(`[${from}]`)) {
    const key = one.getAttribute(from);
    if (key.length > 1) continue;
    one.removeAttribute(from);
    one.setAttribute(to, key);
  }
}

function switched() {
  areOff = !at("single-keys").checked;
  shown();
  try {
    if (areOff) localStorage.setItem(PLACE, "off");
    else localStorage.removeItem(PLACE);
  } catch {
    // For this page it holds all the same.
  }
}

/** Keys from now on. */
export function keys() {
  kept();
  at("single-keys").addEventListener("change", switched);
  // Switched in another tab.
  addEventListener("storage", ({ key }) => (key === PLACE || key === null) && kept());
  // Another alert, or rows that come anew.
  new MutationObserver(() => areOff && announced()).observe(document.body, { childList: true, subtree: true });
  addEventListener("keydown", pressed);
}
