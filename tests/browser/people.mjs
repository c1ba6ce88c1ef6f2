// Scenarios with more than one person: who may not decide, whose claim lasts or lapses, and verdicts that a second person
// has to agree to. Run by queue.mjs.

import assert from 'node:assert/strict';
import {
  FIRST_AMOUNT_MINOR, KEY_OF, alertOf, decide, desk, isProposed, isResolved, left, note, raise, reason, rowOf, stored, tell,
  visit,
} from './alerts.mjs';
import { PATIENCE_MS, PHONE, accessible, press, screenshot, sees, until } from './desk.mjs';

/** The service with a short lease, where verdicts on much need a second person. */
function strict(world) {
  const { base, score, lease_ms, second_minor, second_bulk } = world.short ?? {};
  assert.ok(base && score && lease_ms && second_minor && second_bulk, 'the knob "short" is missing, or a part of it');
  return { ...world, ...world.short };
}

/** What the page says at its bottom, where it is read out. */
async function told(page, text) {
  const status = page.getByRole('status').filter({ hasText: text }).first();
  await until(`the page says ${text}`, async () => (await status.count()) > 0);
}

const verdicts = (page) => page.getByRole('radio');

/** Waits for the line that says why there is no verdict to give. */
async function barred(page, why) {
  await page.getByRole('main').getByText('You cannot decide it now').filter({ hasText: why }).first().waitFor();
  assert.equal(await verdicts(page).count(), 0, 'no verdict is offered');
}

/** One verdict on several rows of the list; gives what was asked before. */
async function decideAll(page, alerts, disposition, because) {
  await page.goto('/queue');
  for (const one of alerts) await rowOf(page, one).getByRole('checkbox').check();
  const bulk = page.getByRole('form', { name: /bulk/i });
  await bulk.getByLabel(/verdict/i).selectOption(disposition);
  await bulk.getByLabel(/reason/i).selectOption(because);
  await bulk.getByRole('button', { name: /decide/i }).click();
  const dialog = page.getByRole('dialog').filter({ visible: true });
  const asked = await dialog.innerText();
  await dialog.getByRole('button', { name: /yes/i }).click();
  return asked;
}

export const people = {
  async not_for_everybody(world) {
    const page = await desk(world);
    const lead = await desk(world, {}, world.second);
    const { id } = await raise(world, page);
    await visit(page, id);
    await tell(lead, id, 'claim');
    await barred(page, `${world.second.name} holds it`);
    assert.equal(await page.getByRole('button', { name: /take it/i }).count(), 0, 'what another holds is not to be taken');
    await press(page, 't');
    await told(page, `${world.second.name} holds it`);
    await tell(lead, id, 'release');
    await until('the verdict is offered again', async () => (await verdicts(page).count()) === 4);
    await tell(lead, id, 'escalate', { reason: 'for a lead' });
    await barred(page, /leads/);
    await press(page, 'a');
    await told(page, /role of a lead/);
    await press(page, 's');
    await told(page, /for the leads/);
    assert.equal(await page.getByRole('dialog').count(), 0, 'a hidden action asks nothing');
    await press(page, 'n');
    await page.keyboard.type('seen before');
    await page.getByRole('button', { name: /save the note/i }).click();
    await stored(page, id, 'has the note', ({ notes }) => notes.some(({ text }) => text === 'seen before'));
    await accessible(page, 'an alert that is for the leads');
    await screenshot(page, 'alert-barred');
    const phone = await desk(world, { viewport: PHONE, dark: true });
    await visit(phone, id);
    await barred(phone, /leads/);
    const [wide, seen] = await phone.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(wide <= seen, `it is ${wide} px wide, the screen ${seen}`);
    await accessible(phone, 'an alert that is for the leads, on a phone, dark');
    await visit(lead, id);
    assert.equal(await verdicts(lead).count(), 4, 'a lead may');
  },

  async lease_of_another(world) {
    const here = strict(world);
    const page = await desk(here);
    const lead = await desk(here, {}, here.second);
    const { id } = await raise(here, page);
    await lead.goto('/queue');
    const holder = rowOf(lead, { id }).locator('td.holder');
    const inRow = async (text) => (await holder.innerText()).includes(text);
    // On a machine that is slow a claim lapses between two steps: then it is claimed again.
    const hold = () => tell(page, id, 'heartbeat', {}).catch(() => tell(page, id, 'claim'));
    await until('the row says who holds it', async () => {
      await hold();
      return inRow(here.analyst.name);
    });
    await screenshot(lead, 'list-held');
    // Nothing tells of a lapse: the row has to see it by itself.
    await until('the row says nobody', () => inRow('nobody'), here.lease_ms + PATIENCE_MS);

    await visit(lead, id);
    const shown = () => lead.evaluate(() => ({ ...document.querySelector('main').dataset }));
    await until('the page says who holds it', async () => {
      await hold();
      return (await shown()).holder === here.analyst.name;
    });
    await until('the new time, without another look at the alert', async () => {
      // What is looked at again has no mark: the page before and after it has to be the same.
      const { holder: by, lease } = await lead.evaluate(() => {
        const main = document.querySelector('main');
        main.dataset.same = 'yes';
        return { ...main.dataset };
      });
      await hold();
      const isNew = (now) => now.same === 'yes' && by === here.analyst.name && Number(now.lease) > Number(lease);
      const told = () => shown().then(isNew);
      return until('the claim goes on', told, 2_000).catch(() => false);
    });
    await until('a lead may release it', async () => {
      await hold();
      return (await lead.getByRole('button', { name: /release it/i }).count()) > 0;
    });
    // And the page, too.
    await lead.getByRole('button', { name: /take it/i }).waitFor({ timeout: here.lease_ms + PATIENCE_MS });
    assert.match(await lead.locator('#holder').innerText(), /nobody/);
  },

  async second_person(world) {
    const here = strict(world);
    const large = { amount_minor: here.second_minor };
    const page = await desk(here);
    const lead = await desk(here, {}, here.second);
    const [one, other] = [await raise(here, page, large), await raise(here, page, large)];
    await visit(page, one.id);
    const will = page.locator('#will');
    await press(page, KEY_OF.suspected);
    assert.match(await will.innerText(), /labels nothing/);
    assert.doesNotMatch(await will.innerText(), /second person/, 'what labels nothing is for one alone');
    await press(page, 'Escape', KEY_OF.fraud);
    assert.match(await will.innerText(), /second person has to agree/);
    await screenshot(page, 'alert-second-person');
    await reason(page).selectOption(here.fraud ?? 'card_stolen');
    await reason(page).press('Enter');
    await stored(page, one.id, 'is proposed', isProposed('fraud'));
    await left(page, one.id);
    await visit(page, one.id);
    await press(page, 'y');
    await told(page, /your own: somebody else has to agree/);
    assert.equal((await alertOf(page, one.id)).state, 'proposed', 'nobody agrees with themselves');

    await visit(lead, one.id);
    await sees(lead, /waits for a second person/i);
    await accessible(lead, 'a verdict that waits for a second person');
    await screenshot(lead, 'alert-proposed');
    await press(lead, 'y');
    const agreed = await stored(lead, one.id, 'is fraud', isResolved('fraud'));
    assert.equal(agreed.resolved_by, here.analyst.name, 'it is the verdict of who proposed it');
    assert.deepEqual(agreed.labels.map(({ transaction_id }) => transaction_id), [one.payment.transaction_id]);

    await visit(page, other.id);
    await decide(page, 'legitimate', here.legitimate ?? 'holder_confirms');
    await stored(page, other.id, 'is proposed', isProposed('legitimate'));
    await visit(lead, other.id);
    await press(lead, 'x');
    const open = await stored(lead, other.id, 'is open again', ({ state }) => state === 'open');
    assert.deepEqual([open.disposition, open.labels], [null, []], 'nothing of it is left');
  },

  async bulk_for_a_second_person(world) {
    const here = strict(world);
    const page = await desk(here);
    const small = () => raise(here, page, { amount_minor: FIRST_AMOUNT_MINOR });
    const because = here.fraud ?? 'card_stolen';
    const [one, large] = [await small(), await raise(here, page, { amount_minor: here.second_minor })];
    assert.match(await decideAll(page, [one, large], 'fraud', because), /1 of them needs a second person/);
    await told(page, '1 waits for a second person, 1 resolved as fraud');
    await stored(page, one.id, 'is fraud', isResolved('fraud'));
    await stored(page, large.id, 'is proposed', isProposed('fraud'));

    const [two, other] = [await small(), await raise(here, page, { amount_minor: here.second_minor })];
    assert.doesNotMatch(await decideAll(page, [two, other], 'suspected', 'pattern'), /second person/, 'it labels nothing');
    for (const { id } of [two, other]) await stored(page, id, 'is suspected', isResolved('suspected'));

    const many = [];
    while (many.length < here.second_bulk) many.push(await small());
    assert.match(await decideAll(page, many, 'fraud', because), /These need a second person/);
    await told(page, `${many.length} alerts wait for a second person: fraud`);
    for (const { id } of many) await stored(page, id, 'is proposed', isProposed('fraud'));
    await screenshot(page, 'bulk-second-person');
  },
};
