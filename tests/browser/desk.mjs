// What the scenarios share: a real Chromium, pages as different people see them, keys, axe, pictures, and the runner.
//
// Started by deploy/local/browser/run, which says where the pinned packages and the browser are. No test framework:
// a scenario is an async function, and the only verdicts are `ok` and `FAILED`.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const parts = process.env.TRIPLINE_BROWSER_PARTS;
if (!parts) throw new Error('start me by deploy/local/browser/run');
const require = createRequire(join(parts, 'package.json'));
const { chromium } = require('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** How long a page may take to show what it must; the page itself is usable in 300 ms, the machine may be busy. */
export const PATIENCE_MS = 60_000;
/** A scenario that takes longer hangs, unless the knob `within_ms` says otherwise. */
const SCENARIO_MS = 600_000;
const GRAVE = ['serious', 'critical'];

export const DESK = { width: 1280, height: 720 };
export const PHONE = { width: 390, height: 844 };

/** The browser, as told by TRIPLINE_CHROMIUM, with a new profile that goes when it is closed. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.TRIPLINE_CHROMIUM,
    headless: true,
    args: [
      '--no-sandbox', // root in a container has no other way
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-proxy-server', // loopback is nobody's proxy's business
    ],
  });
}

/**
 * A page of somebody of their own: no cookie is shared with another one. What it must never do is kept in
 * `page.faults`: a dialog, a script that threw, a request to anywhere else; the runner fails the scenario for it.
 */
export async function open(browser, base, { viewport = DESK, dark = false } = {}) {
  const context = await browser.newContext({
    viewport,
    baseURL: base,
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    isMobile: viewport === PHONE,
    hasTouch: viewport === PHONE,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.faults = [];
  page.on('dialog', async (dialog) => {
    page.faults.push(`a ${dialog.type()} dialog opened: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on('pageerror', (error) => page.faults.push(`a script threw: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) page.faults.push(message.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.origin !== new URL(base).origin)
      page.faults.push(`a request went elsewhere: ${url.origin}`);
  });
  return page;
}

/** Signs in as a person does, and comes back when the list is there. */
export async function signIn(page, url, name, password) {
  await page.goto(new URL('/sign-in?next=/queue', url).href);
  await page.getByLabel(/name/i).first().fill(name);
  await page.getByLabel(/password/i).fill(password);
  await page.keyboard.press('Enter');
  await page.waitForURL((address) => address.pathname === '/queue');
}

/** Presses keys one after the other, as an analyst types: `press(page, 'g', 'q')`. */
export async function press(page, ...keys) {
  // Before its scripts are there a page hears no key.
  await page.waitForFunction(() => document.body?.dataset.keys ?? !document.querySelector('script[type="module"]'));
  for (const key of keys) await page.keyboard.press(key);
}

/** Waits until a text (a string or an expression) can be seen. */
export async function sees(page, text) {
  try {
    await page.getByText(text).filter({ visible: true }).first().waitFor();
  } catch {
    const shown = (await page.locator('body').innerText()).replace(/\s+/g, ' ').slice(0, 600);
    throw new Error(`${text} was not to be seen on ${page.url()}. There was: ${shown}`);
  }
}

/** Waits until `probe` gives something true, and gives that. */
export async function until(what, probe, within = PATIENCE_MS) {
  const end = Date.now() + within;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not in ${within} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** axe's findings of impact serious or critical, one line each. */
export async function axe(page) {
  // Evaluated by the debugger's way in, which the page's Content-Security-Policy does not stop.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => GRAVE.includes(impact))
    .map(({ id, impact, help, nodes }) => `${impact} ${id}: ${help} (${nodes.map(({ target }) => target).slice(0, 3).join(', ')})`);
}

/** Fails with the findings when there are any. */
export async function accessible(page, what) {
  const found = await axe(page);
  assert.equal(found.length, 0, `axe on ${what}:\n    ${found.join('\n    ')}`);
}

/** A picture into the folder of TRIPLINE_SCREENSHOTS; none when it is not set. */
export async function screenshot(page, name) {
  const folder = process.env.TRIPLINE_SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/**
 * Runs scenarios, each with a browser profile of its own, and ends the process: 0 only if at least one ran and none
 * failed. `only` are the names to run; a name that there is not is a failure too.
 */
export async function run(scenarios, knobs, only = []) {
  const names = Object.keys(scenarios);
  const chosen = only.length ? only : names;
  let failed = 0;
  for (const name of chosen) {
    const began = performance.now();
    try {
      if (!names.includes(name)) throw new Error(`there is no such scenario: ${names.join(', ')}`);
      await scenario(name, scenarios[name], knobs);
      console.log(`ok ${name} ${Math.round(performance.now() - began)}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name} ${error.stack ?? error}`);
    }
  }
  if (chosen.length === 0) console.log('FAILED none there was no scenario to run');
  process.exit(failed === 0 && chosen.length > 0 ? 0 : 1);
}

async function scenario(name, body, knobs) {
  const browser = await launch();
  const pages = [];
  let clock;
  try {
    const world = {
      ...knobs,
      async page(options = {}) {
        const page = await open(browser, options.base ?? knobs.base, options);
        pages.push(page);
        return page;
      },
    };
    const hangs = new Promise((_, reject) => {
      const within = knobs.within_ms ?? SCENARIO_MS;
      clock = setTimeout(() => reject(new Error(`not done in ${within} ms`)), within);
    });
    await Promise.race([body(world), hangs]);
    assert.deepEqual(pages.flatMap((page) => page.faults), [], 'what a page must never do');
  } catch (error) {
    for (const [index, page] of pages.entries()) await screenshot(page, `FAILED-${name}-${index}`).catch(() => {});
    throw error;
  } finally {
    clearTimeout(clock);
    await browser.close();
  }
}

/** The knobs: JSON as the first argument or in TRIPLINE_BROWSER. */
export function knobs() {
  const text = process.argv[2] ?? process.env.TRIPLINE_BROWSER;
  if (!text) throw new Error('usage: deploy/local/browser/run SCRIPT KNOBS-AS-JSON [SCENARIO...]');
  return JSON.parse(text);
}
