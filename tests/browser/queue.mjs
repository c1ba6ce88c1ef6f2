// The analyst's queue in a real Chromium: what a person sees and presses, and what the store says of it afterwards.
//
// How they raise alerts and ask the store is in alerts.mjs; phone, dark and axe are in looks.mjs; what takes more than one
// person is in people.mjs.
//
//     deploy/local/browser/run tests/browser/queue.mjs KNOBS [SCENARIO...]
//
// KNOBS, as JSON:
//     base       the service, http://127.0.0.1:PORT
//     analyst    {name, password}
//     second     {name, password}: a lead, who may also see the audit log
//     score      {url, key, payment}: where a payment is sent, the Bearer key, and a payment that raises an alert; its
//                transaction_id, card_id, event_time and amount_minor are set here, and what a scenario changes
//     fraud      the reason to give for fraud; default card_stolen
//     legitimate the reason to give for legitimate; default holder_confirms
//     short      what differs at a service with a short lease, where verdicts on much need a second person: {base, score,
//                lease_ms, second_minor, second_bulk}: amount of an alert and alerts of one bulk action from which on

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  KEY_OF, addressOf, alertOf, ask, at, claim, decide, desk, isAt, isResolved, largest, note, raise, reason, rowOf, send,
  stored, tell, visit,
} from './alerts.mjs';
import { accessible, knobs, press, run, screenshot, sees, signIn, until } from './desk.mjs';
import { looks } from './looks.mjs';
import { people } from './people.mjs';

const SCRIPT = '<script>alert(1)</script>';

// --- The scenarios ---------------------------------------------------------------------------------------------------

const scenarios = {
  async sign_in(world) {
    const page = await world.page();
    await page.goto('/queue');
    assert.equal(new URL(page.url()).pathname, '/sign-in', 'a stranger is asked who they are');
    await screenshot(page, 'sign-in');
    await signIn(page, world.base, world.analyst.name, world.analyst.password);
    await sees(page, world.analyst.name);
    const [cookie] = (await page.context().cookies()).filter(({ name }) => name === '__Host-tripline');
    assert.ok(cookie?.httpOnly && cookie.secure, 'the session is out of the reach of scripts');
    await screenshot(page, 'list');
  },

  async wrong_password(world) {
    const page = await world.page();
    await page.goto('/sign-in');
    await page.getByLabel(/name/i).first().fill(`nobody-${randomUUID()}`);
    await page.getByLabel(/password/i).fill('not the password');
    const answered = page.waitForEvent('framenavigated');
    await page.keyboard.press('Enter');
    await answered;
    await page.waitForLoadState();
    assert.equal(new URL(page.url()).pathname, '/sign-in');
    assert.deepEqual(await page.context().cookies(), []);
    await screenshot(page, 'sign-in-refused');
  },

  async claim_decide_next_undo(world) {
    const page = await desk(world);
    const next = await raise(world, page);
    const best = await raise(world, page);
    await claim(page, best.id);
    await stored(page, best.id, 'is held', ({ holder }) => holder === world.analyst.name);
    await screenshot(page, 'alert-claimed');
    // The next one is fetched meanwhile; events stay open.
    await page.waitForLoadState('networkidle', { timeout: 10_000 }).catch(() => {});
    await decide(page, 'fraud', world.fraud ?? 'card_stolen');
    await at(page, next.id);
    await stored(page, best.id, 'is fraud', isResolved('fraud'));
    await stored(page, next.id, 'is held', ({ holder }) => holder === world.analyst.name);
    await screenshot(page, 'alert-next');
    await press(page, 'u');
    const undone = await stored(page, best.id, 'is open again', ({ state }) => state === 'open');
    assert.equal(undone.disposition, null);
    await screenshot(page, 'alert-undone');
  },

  async prefetch(world) {
    const page = await desk(world);
    const next = await raise(world, page);
    const best = await raise(world, page);
    // It ranks above both and is for the leads: an analyst is not given it, so it is not fetched either.
    const above = await raise(world, page);
    await tell(page, above.id, 'escalate', { reason: 'not for an analyst' });
    const fetched = page.waitForResponse(
      (answer) => new URL(answer.url()).pathname === '/queue/peek' && answer.headers()['tripline-alert'] === next.id,
    );
    await claim(page, best.id);
    const peek = await fetched;
    assert.equal(peek.request().headers()['tripline-background'], '1');
    await peek.finished();
    // From here on nobody gets the page of the next one by asking for it.
    let letGo;
    const held = new Promise((done) => (letGo = done));
    await page.route(
      (url) => url.pathname === addressOf(next.id) && url.search === '?part=main',
      async (route) => (await held, route.continue()),
    );
    await decide(page, 'fraud', world.fraud ?? 'card_stolen');
    await at(page, next.id);
    await page.locator(`main[data-alert="${next.id}"]`).waitFor();
    letGo();
    await until('it is shown as it is by now', () => page.locator(`main[data-holder="${world.analyst.name}"]`).count());
  },

  async no_verdict_without_a_reason(world) {
    const page = await desk(world);
    const { id } = await raise(world, page);
    await claim(page, id);
    await press(page, KEY_OF.fraud, 'Enter');
    await page.waitForTimeout(500);
    assert.ok(isAt(page, id), 'it stays until there is a reason');
    assert.equal((await alertOf(page, id)).state, 'open');
  },

  async two_on_one_alert(world) {
    const first = await desk(world);
    const second = await world.page();
    // The second one's page hears of nothing, as over a bad line: it must be the write that finds out.
    await second.route('**/v1/alerts/events*', (route) => route.abort());
    await signIn(second, world.base, world.second.name, world.second.password);
    const { id } = await raise(world, first);
    await visit(second, id);
    await press(second, 'n');
    await note(second).fill('what the second one typed');
    await note(second).press('Escape');
    await claim(first, id);
    await decide(first, 'legitimate', world.legitimate ?? 'holder_confirms');
    const before = await stored(first, id, 'is legitimate', isResolved('legitimate'));
    const refused = second.waitForResponse((answer) => answer.request().method() === 'POST' && answer.status() === 412);
    await decide(second, 'fraud', world.fraud ?? 'card_stolen');
    await refused;
    const box = second.getByRole('alert').filter({ visible: true }).filter({ hasText: /changed/i }).first();
    await box.waitFor();
    assert.match(await box.innerText(), new RegExp(world.analyst.name), 'the box says who was before');
    assert.equal(await note(second).inputValue(), 'what the second one typed');
    const after = await alertOf(first, id);
    assert.deepEqual([after.disposition, after.version], ['legitimate', before.version], 'nothing was overwritten');
    await screenshot(second, 'alert-stale');
  },

  async lease(world) {
    assert.ok(world.short?.lease_ms, 'the knob "short" is missing: a service with a short lease');
    const here = { ...world, ...world.short };
    const page = await desk(here);
    const { id } = await raise(here, page);
    await claim(page, id);
    await press(page, 'n');
    await page.keyboard.type('half a thought');
    await screenshot(page, 'alert-draft');
    await page.getByText(/lapsed/i).filter({ visible: true }).first().waitFor({ timeout: 3 * here.lease_ms + 25_000 });
    assert.equal((await alertOf(page, id)).holder, null, 'nobody holds it');
    assert.equal(await note(page).inputValue(), 'half a thought');
    await screenshot(page, 'alert-lapsed');
    await page.reload();
    await until('the note after a reload', async () => (await note(page).inputValue()) === 'half a thought');
  },

  async live_re_rank(world) {
    const page = await desk(world);
    const lower = await raise(world, page);
    const upper = await raise(world, page);
    await page.goto('/queue');
    // Both in one look, for the rows are replaced at any moment.
    const isAbove = (one, other) =>
      page.evaluate(
        (paths) => {
          const [one, other] = paths.map((path) => document.querySelector(`main a[href^="${path}"]`));
          return one && other && one.getBoundingClientRect().top < other.getBoundingClientRect().top;
        },
        [addressOf(one.id), addressOf(other.id)],
      );
    await until('the larger loss stands first', () => isAbove(upper, lower));
    await page.evaluate(() => (window.sameDocument = true));
    await screenshot(page, 'list-before-hit');
    // The page asks by itself, and says so: it keeps no session alive.
    const asked = page.waitForRequest((request) => new URL(request.url()).pathname === '/queue/rows');
    await send(world, { card_id: lower.payment.card_id, amount_minor: 10 * largest(world) });
    assert.equal((await asked).headers()['tripline-background'], '1');
    await until('the hit lifts its alert', () => isAbove(lower, upper));
    assert.ok(await page.evaluate(() => window.sameDocument), 'without loading the page again');
    await screenshot(page, 'list-after-hit');
  },

  async hostile_merchant(world) {
    const page = await desk(world);
    const { id } = await raise(world, page, { merchant_id: SCRIPT });
    await visit(page, id);
    await sees(page, SCRIPT);
    const bodies = await page.locator('script:not([src])').count();
    assert.equal(bodies, 0, 'no script in the page itself');
    await screenshot(page, 'alert-hostile');
    for (const path of ['/queue', `/search?text=${encodeURIComponent(SCRIPT)}`]) {
      await page.goto(path);
      await page.getByRole('main').waitFor();
      assert.equal(await page.locator('script:not([src])').count(), 0, path);
    }
  },

  async bulk(world) {
    const page = await desk(world);
    const both = [await raise(world, page), await raise(world, page)];
    await page.goto('/queue');
    for (const one of both) await rowOf(page, one).getByRole('checkbox').check();
    await sees(page, '2 alerts');
    const bulk = page.getByRole('form', { name: /bulk/i });
    await bulk.getByLabel(/verdict/i).selectOption('legitimate');
    await bulk.getByLabel(/reason/i).selectOption(world.legitimate ?? 'holder_confirms');
    await bulk.getByLabel(/reason/i).press('Tab');
    await screenshot(page, 'bulk');
    await bulk.getByRole('button', { name: /decide/i }).click();
    const asked = page.getByRole('dialog').filter({ visible: true });
    assert.match(await asked.innerText(), /2 alerts/, 'it says how many before it is done');
    await asked.getByRole('button', { name: /yes/i }).click();
    for (const { id } of both) await stored(page, id, 'is legitimate', isResolved('legitimate'));
    await until('the rows are gone', async () => (await rowOf(page, both[0]).count()) + (await rowOf(page, both[1]).count()) === 0);
    await page.getByRole('button', { name: /undo/i }).first().waitFor();
    await press(page, 'u');
    for (const { id } of both) await stored(page, id, 'is open again', ({ state }) => state === 'open');
    await until('the rows are back', async () => (await rowOf(page, both[0]).count()) + (await rowOf(page, both[1]).count()) === 2);
  },

  async links_and_band(world) {
    const page = await desk(world);
    const device_id = `device-${randomUUID()}`;
    const first = await raise(world, page, { device_id });
    const other = await raise(world, page, { device_id });
    const label = { transaction_id: other.payment.transaction_id, fraud: true, source: 'chargeback' };
    const answer = await fetch(new URL('/v1/labels', world.score.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${world.score.key}` },
      body: JSON.stringify(label),
    });
    assert.ok(answer.ok, `the label was refused: ${answer.status} ${await answer.text()}`);
    const link = page.locator('section.links li').filter({ hasText: 'device' });
    await until('the other card of the device, known to be fraud', async () => {
      await visit(page, first.id);
      return (await link.count()) === 1 && /with 1 other card\s.*1 fraud.*0 legitimate/s.test(await link.innerText());
    });
    assert.equal(await link.getByRole('link').nth(1).getAttribute('href'), addressOf(other.id), 'its open alert is named');
    await sees(page, /\b(low|medium|high|critical)\b/);
    await link.scrollIntoViewIfNeeded();
    await screenshot(page, 'alert-links');
    await link.getByRole('link').first().click();
    await page.getByRole('heading', { level: 1, name: /device/ }).waitFor();
    assert.ok((await page.locator('table.past tbody tr').count()) >= 2, 'the payments of the device');
    await accessible(page, 'the page of a device');
    await screenshot(page, 'entity-device');
  },

  async export_as_csv(world) {
    const page = await desk(world);
    const { id, payment } = await raise(world, page);
    const rule = (await alertOf(page, id)).rule;
    await page.goto(`/queue?rule=${rule}`);
    const [sheet] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export' }).click()]);
    const lines = readFileSync(await sheet.path(), 'utf8').trim().split('\n');
    assert.match(lines[0], /^alert_id,entity,key,rule,/);
    const [own] = lines.filter((line) => line.startsWith(`${id},`));
    assert.ok(own?.includes(`,••••${payment.card_id.slice(-4)},${rule},open,`), `the key is masked: ${own}`);
    const lead = await desk(world, {}, world.second);
    const { entries } = await ask(lead, '/v1/audit?object=alerts');
    const { action, actor, detail } = entries[0];
    assert.deepEqual([action, actor, detail.rule, detail.rows], ['export', world.analyst.name, rule, lines.length - 1]);
  },

  async by_key_in_the_list(world) {
    const page = await desk(world);
    const both = [await raise(world, page), await raise(world, page)];
    const [lower] = both;
    const addresses = both.map(({ id }) => addressOf(id));
    await page.goto('/queue');
    const focused = () => page.evaluate(() => document.activeElement.getAttribute('href'));
    await press(page, 'j');
    const places = [];
    // Which of them ranks higher their scores say.
    const cameToBoth = () => addresses.every((address) => places.includes(address));
    for (let step = 0; step < 20 && !cameToBoth(); step += 1) {
      places.push(await focused());
      await press(page, 'j');
    }
    assert.ok(cameToBoth(), `j came to ${places}`);
    await page.goto('/queue');
    await press(page, 'j', 'j', 'k');
    const first = await focused();
    // The rows come anew under the focus, which stays where it is.
    await send(world, { card_id: lower.payment.card_id });
    await page.waitForTimeout(2_500);
    assert.equal(await focused(), first, 'the focus stays on its row');
    await press(page, 'Enter');
    await until('the row is opened', () => new URL(page.url()).pathname === first);
    // The keys are there once the page's scripts are.
    await page.waitForLoadState('load');
    const isQueue = ({ pathname }) => pathname === '/queue';
    await until('the queue', async () => {
      await press(page, 'g', 'q');
      return page.waitForURL(isQueue, { timeout: 5_000 }).then(() => true, () => false);
    });
    await press(page, '/');
    await page.keyboard.type(lower.payment.transaction_id);
    await press(page, 'Enter');
    await until('what was searched for', () => new URL(page.url()).pathname === '/search');
    await page.locator(`main a[href="${addressOf(lower.id)}"]`).waitFor();
  },

  async snooze_and_escalate(world) {
    const page = await desk(world);
    const [one, other] = [await raise(world, page), await raise(world, page)];
    await visit(page, one.id);
    await press(page, 's');
    await page.getByRole('dialog').getByRole('button', { name: '4 hours' }).click();
    await stored(page, one.id, 'sleeps', ({ state, snoozed_until }) => state === 'snoozed' && snoozed_until);
    // It is offered once the page has the answer, which the store has before.
    await until('the next one, or the queue', () => new URL(page.url()).pathname !== addressOf(one.id));
    await page.waitForLoadState('load');
    await page.getByRole('button', { name: /undo/i }).first().waitFor();
    await press(page, 'u');
    await stored(page, one.id, 'is open again', ({ state }) => state === 'open');
    await visit(page, other.id);
    await press(page, 'e');
    const why = page.getByRole('dialog').getByLabel(/why/i);
    await why.fill('a thought that is dropped');
    await page.getByRole('dialog').getByRole('button', { name: /cancel/i }).click();
    await press(page, 'e');
    assert.equal(await why.inputValue(), '', 'what was cancelled is forgotten');
    await why.fill('seven cards, one device');
    await page.getByRole('dialog').getByRole('button', { name: /escalate/i }).click();
    const escalated = await stored(page, other.id, 'is escalated', (alert) => alert.escalated);
    assert.ok(escalated.notes.some(({ text }) => text === 'seven cards, one device'));
  },

  async note_take_and_reveal(world) {
    const page = await desk(world);
    const { id, payment } = await raise(world, page);
    await visit(page, id);
    await press(page, 't');
    await stored(page, id, 'is held', ({ holder }) => holder === world.analyst.name);
    await page.getByRole('button', { name: /give back/i }).waitFor();
    await press(page, 'n');
    await page.keyboard.type('called, no answer');
    await page.getByRole('button', { name: /save the note/i }).click();
    await stored(page, id, 'has the note', ({ notes }) => notes.some(({ text }) => text === 'called, no answer'));
    await until('an empty box', async () => (await note(page).inputValue()) === '');
    await sees(page, 'called, no answer');
    assert.ok(!(await page.content()).includes(payment.card_id), 'the card is masked');
    await page.getByRole('button', { name: /show whole/i }).click();
    await sees(page, payment.card_id);
    await press(page, 'Escape', 't');
    await stored(page, id, 'is given back', ({ holder }) => holder === null);
  },

  async new_hit_while_typing(world) {
    const page = await desk(world);
    const { id, payment } = await raise(world, page);
    await visit(page, id);
    await press(page, 't');
    await stored(page, id, 'is held', ({ holder }) => holder === world.analyst.name);
    await press(page, '1');
    await reason(page).selectOption(world.fraud ?? 'card_stolen');
    await press(page, 'Escape', 'n');
    await page.keyboard.type('half a');
    await send(world, { card_id: payment.card_id });
    await sees(page, /1 new hit/);
    await page.keyboard.type(' thought');
    assert.equal(await note(page).inputValue(), 'half a thought', 'what is typed goes on');
    assert.equal(await reason(page).inputValue(), world.fraud ?? 'card_stolen', 'what was chosen stays');
    await sees(page, '2 payments');
    await screenshot(page, 'alert-new-hit');
  },

  async signed_out_while_typing(world) {
    const page = await desk(world);
    const { id } = await raise(world, page);
    await visit(page, id);
    await press(page, 'n');
    await page.keyboard.type('not lost');
    await press(page, 'Escape');
    await page.context().clearCookies();
    await decide(page, 'fraud', world.fraud ?? 'card_stolen');
    await sees(page, /signed out/i);
    assert.equal(await note(page).inputValue(), 'not lost');
    await screenshot(page, 'alert-signed-out');
    await signIn(page, world.base, world.analyst.name, world.analyst.password);
    assert.equal((await alertOf(page, id)).state, 'open', 'nothing was saved');
    await visit(page, id);
    await until('the note', async () => (await note(page).inputValue()) === 'not lost');
  },

  async signed_out_while_looking(world) {
    const page = await desk(world);
    await page.context().clearCookies();
    // As after the hour for which the service keeps a stream of events: the page asks for another.
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    await sees(page, /signed out/i);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await until('where one signs in', () => page.url().endsWith('/sign-in?next=%2Fqueue'));
  },

  async keys_switched_off(world) {
    const page = await desk(world);
    const { id } = await raise(world, page);
    await visit(page, id);
    await press(page, '?');
    const dialog = page.getByRole('dialog').filter({ visible: true });
    const single = dialog.getByRole('checkbox', { name: /single-key/i });
    await single.uncheck();
    await accessible(page, 'the help, keys switched off');
    await screenshot(page, 'help-keys-off');
    await press(page, 'Escape', '1', 's', '?');
    assert.equal(await dialog.count(), 0, 'no dialog opens');
    assert.equal(await page.getByRole('radio', { checked: true }).count(), 0, 'no verdict is chosen');
    const announced = () => page.evaluate(() => {
      const keys = [...document.querySelectorAll('[aria-keyshortcuts]')].map((one) => one.getAttribute('aria-keyshortcuts'));
      const hints = [...document.querySelectorAll('main kbd')].filter((one) => one.checkVisibility()).map((one) => one.innerText);
      return [...keys, ...hints].filter((key) => key.length === 1);
    });
    assert.deepEqual(await announced(), [], 'keys that do nothing are announced to nobody');
    assert.match(await page.locator('#will').innerText(), /^Undo takes it back/);
    const by = { yes: `main[data-holder="${world.analyst.name}"]`, no: 'main:not([data-holder])' };
    for (const held of ['yes', 'no']) {
      // A click while the one before is still under way does nothing.
      await until(`held: ${held}`, async () => {
        if ((await page.locator(by[held]).count()) === 0) await page.locator('#take').click();
        return page.locator(by[held]).waitFor({ timeout: 5_000 }).then(() => true, () => false);
      });
      assert.deepEqual(await announced(), [], 'nor by a page that is exchanged');
    }
    await page.goto('/queue');
    await press(page, 'c', 'j');
    await page.waitForTimeout(500);
    assert.equal(new URL(page.url()).pathname, '/queue', 'nothing is claimed');
    assert.equal((await alertOf(page, id)).holder, null);
    await press(page, 'Enter');
    await until('Enter opens a row', () => new URL(page.url()).pathname.startsWith('/queue/'));
    await page.waitForLoadState('load');
    await page.getByRole('button', { name: /^keys/i }).click();
    await single.check();
    assert.ok((await announced()).includes('1'), 'they are back');
    await press(page, 'Escape', 'g', 'q');
    await until('the queue', () => new URL(page.url()).pathname === '/queue');
  },

  async filters(world) {
    const page = await desk(world);
    await page.goto('/queue?which=late&order=amount');
    const name = `mine ${randomUUID().slice(0, 8)}`;
    await page.getByText('Saved filters').click();
    await page.getByLabel(/keep this one as/i).fill(name);
    // The page comes anew with it.
    await Promise.all([page.waitForEvent('load'), page.getByLabel(/keep this one as/i).press('Enter')]);
    await until('it is kept', async () => (await ask(page, '/v1/filters')).filters.some((one) => one.name === name));
    await page.goto('/queue');
    await page.getByText('Saved filters').click();
    await page.getByRole('link', { name }).click();
    await until('its query', () => page.url().endsWith('/queue?which=late&order=amount'));
    await page.getByText('Saved filters').click();
    await page.getByRole('button', { name: `Remove filter ${name}` }).click();
    await until('it is gone', async () => !(await ask(page, '/v1/filters')).filters.some((one) => one.name === name));
    await page.goto('/queue');
    await page.getByText('Columns').click();
    await page.getByLabel('Score').uncheck();
    await page.reload();
    assert.equal(await page.getByRole('columnheader', { name: 'Score' }).count(), 0, 'a hidden column stays hidden');
  },

  async chargebacks(world) {
    const page = await desk(world, {}, world.second);
    await page.goto('/dashboard');
    const file = { name: 'file.csv', mimeType: 'text/csv', buffer: Buffer.from(world.chargebacks ?? 'transaction_id\ntx-1\n') };
    await page.getByLabel('File').setInputFiles(file);
    await page.getByRole('button', { name: /hand in/i }).click();
    await sees(page, /taken|refused/);
  },

  async sign_out(world) {
    const page = await desk(world);
    await page.getByRole('button', { name: /sign out/i }).click();
    await until('the sign-in page', () => new URL(page.url()).pathname === '/sign-in');
    await page.goto('/queue');
    assert.equal(new URL(page.url()).pathname, '/sign-in');
  },
};

// Whoever claims the best alert comes before those that leave large ones open.
await run({ ...scenarios, ...looks, ...people }, knobs(), process.argv.slice(3));
