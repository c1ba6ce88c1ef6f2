// How long pages take in a real Chromium until they can be used: painted, and their scripts have run. Prints medians and
// 95th percentiles; nothing here fails because a number is bad.
//
//     deploy/local/browser/run tests/browser/times.mjs KNOBS
//
// KNOBS, as JSON:
//     base     the service, http://127.0.0.1:PORT
//     analyst  {name, password}
//     looks    how often each page is opened
//     alerts   ids of alerts to open, one after the other
//     rule     an alert rule to filter by

import assert from 'node:assert/strict';
import { knobs, run, signIn } from './desk.mjs';

/** The first ones fill caches of the browser and of the database: an analyst's day has many more. */
const WARM = 3;

const addressOf = (id) => `/queue/${encodeURIComponent(id)}`;

/** Opens a page as from the address bar; milliseconds until it can be used, and until the first byte of it came. */
async function opened(page, path) {
  const answer = await page.goto(path, { waitUntil: 'load' });
  assert.equal(answer.status(), 200, path);
  return page.evaluate(
    () =>
      new Promise((done) => {
        const told = () => {
          const [navigation] = performance.getEntriesByType('navigation');
          const [paint] = performance.getEntriesByName('first-contentful-paint');
          if (!paint) return requestAnimationFrame(told);
          done({ usable: Math.max(paint.startTime, navigation.domContentLoadedEventEnd), first: navigation.responseStart });
        };
        told();
      }),
  );
}

/** The value that so large a part is not above (nearest rank). */
function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

const scenarios = {
  async times(world) {
    const page = await world.page();
    await signIn(page, world.base, world.analyst.name, world.analyst.password);
    const { next } = await (await page.request.get('/v1/alerts')).json();
    const pages = {
      list: () => '/queue',
      alert: (look) => addressOf(world.alerts[look % world.alerts.length]),
      entity: (look) => `${addressOf(world.alerts[look % world.alerts.length])}/entity/card`,
      'entity of a busy merchant': (look) => `${addressOf(world.alerts[look % world.alerts.length])}/entity/merchant`,
      'list, page 2': () => `/queue?cursor=${next}`,
      'list by amount': () => '/queue?order=amount',
      'list of a rule': () => `/queue?rule=${encodeURIComponent(world.rule)}`,
      'list, above a loss': () => '/queue?min_loss_minor=100000',
      'list of the late': () => '/queue?which=late',
      'list of the resolved': () => '/queue?which=resolved',
      search: (look) => `/search?text=card-${look + 1}`,
      dashboard: () => '/dashboard',
    };
    console.log('| page | usable, median ms | p95 ms | first byte, median ms |\n|---|---:|---:|---:|');
    for (const [name, path] of Object.entries(pages)) {
      const looks = [];
      for (let look = 0; look < WARM + world.looks; look += 1) {
        const times = await opened(page, path(look));
        if (look >= WARM) looks.push(times);
      }
      const of = (key, part) => Math.round(quantile(looks.map((times) => times[key]), part));
      console.log(`| ${name} | ${of('usable', 0.5)} | ${of('usable', 0.95)} | ${of('first', 0.5)} |`);
    }
  },
};

// Hundreds of pages, on a machine that may be slow: that is what is measured.
run(scenarios, { within_ms: 900_000, ...knobs() });
