// What the scenarios of the queue do: payments that raise alerts, pages of people, keys, and what the store says of it
// afterwards.
//
// Every scenario raises alerts of its own by sending payments on cards of its own, each larger than all before it, so
// that they stand first in the list whatever else is in it. What a page shows is asked by role, label and visible text;
// what was saved is asked from /v1/alerts with the same session, since a page that says "saved" is no proof.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { press, signIn, until } from './desk.mjs';

export const FIRST_AMOUNT_MINOR = 1_000_000;
const STEP_MINOR = 100_000;
export const KEY_OF = { fraud: '1', suspected: '2', legitimate: '3', insufficient: '4' };
/** The largest amount so far, by where payments are sent. */
const amounts = new Map();

export const largest = ({ score }) => amounts.get(score.url) ?? FIRST_AMOUNT_MINOR;

/** Sends a payment; gives its id and its card. */
export async function send(world, changed = {}) {
  const { score } = world;
  const payment = {
    ...score.payment,
    transaction_id: `browser-${randomUUID()}`,
    card_id: `card-${randomUUID()}`,
    event_time: Date.now(),
    amount_minor: largest(world) + STEP_MINOR,
    ...changed,
  };
  // What comes after stands above this one too.
  amounts.set(score.url, Math.max(largest(world), payment.amount_minor));
  const answer = await fetch(score.url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${score.key}` },
    body: JSON.stringify(payment),
  });
  assert.ok(answer.ok, `the payment was refused: ${answer.status} ${await answer.text()}`);
  return payment;
}

/** What the store says, with the session of this page. */
export async function ask(page, path) {
  const answer = await page.request.get(path);
  assert.ok(answer.ok(), `${path}: ${answer.status()} ${await answer.text()}`);
  return answer.json();
}

const apiOf = (id) => `/v1/alerts/${encodeURIComponent(id)}`;
export const alertOf = (page, id) => ask(page, apiOf(id));

/** Has something done with an alert as somebody would on another page: with the session of this one. */
export async function tell(page, id, word, body) {
  const { version } = await alertOf(page, id);
  const csrf = await page.locator('meta[name="csrf"]').getAttribute('content');
  const headers = { 'X-CSRF-Token': csrf, 'If-Match': `"${version}"` };
  const answer = await page.request.post(`${apiOf(id)}/${word}`, { headers, data: body });
  assert.ok(answer.ok(), `${word}: ${answer.status()} ${await answer.text()}`);
  return answer.json();
}

/** Sends a payment and waits for its alert. */
export async function raise(world, page, changed) {
  const payment = await send(world, changed);
  const found = await until(`an alert of ${payment.transaction_id}`, async () => {
    const { alerts } = await ask(page, `/v1/alerts?which=open&text=${encodeURIComponent(payment.transaction_id)}`);
    return alerts[0];
  });
  return { id: found.alert_id, payment };
}

export const addressOf = (id) => `/queue/${encodeURIComponent(id)}`;
export const isAt = (page, id) => new URL(page.url()).pathname === addressOf(id);

export async function at(page, id) {
  await until(`the page of alert ${id}, not ${page.url()}`, () => isAt(page, id));
  await page.getByRole('main').waitFor();
}

export async function visit(page, id) {
  await page.goto(addressOf(id));
  await page.getByRole('main').waitFor();
}

/** After a verdict: the next one, or the queue. */
export async function left(page, id) {
  await until('the next one, or the queue', () => !isAt(page, id));
  await page.waitForLoadState('load');
}

export async function desk(world, options, who = world.analyst) {
  const page = await world.page({ base: world.base, ...options });
  await signIn(page, world.base, who.name, who.password);
  return page;
}

/** `c` from the list: the best alert, which is this one. */
export async function claim(page, id) {
  await page.goto('/queue');
  await page.getByRole('main').waitFor();
  await press(page, 'c');
  await at(page, id);
}

export const reason = (page) => page.getByRole('main').getByLabel(/reason/i).filter({ visible: true }).first();
export const note = (page) => page.getByRole('main').getByLabel(/note/i).filter({ visible: true }).first();
export const rowOf = (page, { id }) => page.getByRole('row').filter({ has: page.locator(`a[href="${addressOf(id)}"]`) });

/** The verdict's key, a reason, Enter: no mouse. */
export async function decide(page, disposition, because) {
  await press(page, KEY_OF[disposition]);
  await reason(page).selectOption(because);
  await reason(page).press('Enter');
}

/** Waits until the store has it so. */
export function stored(page, id, what, holds) {
  return until(`alert ${id} ${what}`, async () => {
    const alert = await alertOf(page, id);
    return holds(alert) && alert;
  });
}

export const isResolved = (disposition) => (alert) => alert.state === 'resolved' && alert.disposition === disposition;
export const isProposed = (disposition) => (alert) => alert.state === 'proposed' && alert.disposition === disposition;
