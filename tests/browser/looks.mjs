// Scenarios of how the pages look: on a phone, in the dark, and to axe. Run by queue.mjs.

import assert from 'node:assert/strict';
import { addressOf, desk, raise, reason, visit } from './alerts.mjs';
import { DESK, PHONE, accessible, press, screenshot } from './desk.mjs';

async function topOf(locator, what) {
  const box = await locator.filter({ visible: true }).first().boundingBox();
  assert.ok(box, `${what} is not to be seen`);
  return box.y;
}

export const looks = {
  async phone(world) {
    const page = await desk(world, { viewport: PHONE });
    const { id } = await raise(world, page);
    for (const path of ['/queue', addressOf(id), '/dashboard']) {
      await page.goto(path);
      await page.getByRole('main').waitFor();
      const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
      assert.ok(wide <= seen && seen <= PHONE.width, `${path} is ${wide} px wide, the screen ${seen}`);
      await screenshot(page, `phone-${path === addressOf(id) ? 'alert' : path.slice(1)}`);
    }
    await visit(page, id);
    const history = page.getByRole('heading', { name: /history|last payments|timeline/i });
    const reasonTop = await topOf(reason(page), 'the reason of the verdict');
    assert.ok(reasonTop < (await topOf(history, 'the history')), 'the actions stand above the history');
    await accessible(page, 'the alert on a phone');
  },

  async dark(world) {
    const light = await desk(world);
    const dark = await desk(world, { dark: true });
    const { id } = await raise(world, light);
    for (const [page, name] of [[light, 'light'], [dark, 'dark']]) {
      await visit(page, id);
      const brightness = await page.evaluate(() => {
        const opaque = [document.body, document.documentElement].map((one) => getComputedStyle(one).backgroundColor);
        const colour = opaque.find((text) => text !== 'rgba(0, 0, 0, 0)') ?? 'rgb(255, 255, 255)';
        const [red, green, blue] = colour.match(/[\d.]+/g).map(Number);
        return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
      });
      assert.ok(name === 'dark' ? brightness < 0.25 : brightness > 0.75, `${name}: a background of ${brightness}`);
      await screenshot(page, `alert-${name}`);
    }
  },

  async accessibility(world) {
    const paths = ({ id }) => ({
      list: '/queue',
      alert: addressOf(id),
      entity: `${addressOf(id)}/entity/card`,
      search: '/search?text=card',
      dashboard: '/dashboard',
      audit: '/audit',
      'not-found': '/queue/there-is-no-such-alert',
    });
    for (const dark of [false, true]) {
      const stranger = await world.page({ dark });
      await stranger.goto('/sign-in');
      await accessible(stranger, `/sign-in${dark ? ', dark' : ''}`);
      const page = await desk(world, { dark, viewport: DESK }, world.second);
      for (const [name, path] of Object.entries(paths(await raise(world, page)))) {
        await page.goto(path);
        await page.getByRole('main').waitFor();
        await accessible(page, `${path}${dark ? ', dark' : ''}`);
        await screenshot(page, `page-${name}${dark ? '-dark' : ''}`);
      }
      await page.goto('/queue');
      await press(page, '?');
      await page.getByRole('dialog').filter({ visible: true }).waitFor();
      await accessible(page, `the help${dark ? ', dark' : ''}`);
      await screenshot(page, `help${dark ? '-dark' : ''}`);
    }
  },
};
