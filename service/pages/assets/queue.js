// The analysts' page: keys, actions, drafts, what changes meanwhile. No library; everything is asked of our own API.
// The server makes all HTML; this script exchanges <main> and rows, and never writes markup from data.

const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const csrf = $('meta[name=csrf]')?.content ?? '';
const main = () => $('#main');
const alertId = () => main()?.dataset.alert;
const say = (text) => { $('#spoken').textContent = text; };

// --- Asking --------------------------------------------------------------------------------------------------------

async function ask(method, path, body, version) {
  const headers = { 'X-CSRF-Token': csrf };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (version !== undefined) headers['If-Match'] = `"${version}"`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    box('The service does not answer. Nothing was saved; what you typed is kept.');
    return null;
  }
  if (answer.status === 204) return {};
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  refused(answer.status, data);
  return null;
}

function refused(status, data) {
  if (status === 401) box('You are signed out. What you typed is kept in this page.', 'Sign in', () => location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`));
  else if (status === 412) {
    const now = data.alert;
    const who = now.resolved_by ?? now.holder ?? 'somebody';
    box(`The alert was changed meanwhile: it is ${now.state}, at version ${now.version}, last by ${who}. Nothing was overwritten.`, 'Show it as it is now', reload);
  } else box(`${data.title ?? 'That did not work'}. ${data.detail ?? ''}`);
}

// A box at the top that stays until it is closed: what was typed is left alone.
function box(text, button, act) {
  const line = document.createElement('p');
  line.className = 'banner';
  line.setAttribute('role', 'alert');
  line.append(text, ' ');
  const close = document.createElement('button');
  close.type = 'button';
  close.textContent = button ?? 'Close';
  close.addEventListener('click', () => { line.remove(); act?.(); });
  line.append(close);
  $('#boxes').replaceChildren(line);
}

// --- Exchanging <main> ---------------------------------------------------------------------------------------------

function show(html, path) {
  const page = new DOMParser().parseFromString(html, 'text/html');
  const next = $('main', page);
  if (!next) return location.reload();
  keepTyped(next);
  main().replaceWith(next);
  if (path && path !== location.pathname) history.pushState(null, '', path);
  $('#boxes').replaceChildren();
  begin();
}

function keepTyped(next) {
  if (next.dataset.alert !== alertId()) return;
  const note = $('#note');
  if (note?.value && $('#note', next)) $('#note', next).value = note.value;
}

async function load(path, isNew = true) {
  const answer = await fetch(path.startsWith('/queue/alr') ? `${path}?part=main` : path);
  if (answer.redirected) return location.reload();
  show(await answer.text(), isNew ? path : undefined);
  if (isNew) main().focus({ preventScroll: true });
}

const reload = () => (alertId() ? load(`/queue/${alertId()}`, false) : location.reload());

// --- The next one --------------------------------------------------------------------------------------------------

let ready = null; // the next alert, fetched before it is asked for

async function prefetch() {
  ready = null;
  if (!$('#verdict')) return;
  const answer = await fetch(`/queue/peek?after=${encodeURIComponent(alertId())}`);
  if (answer.status === 200) ready = { id: answer.headers.get('tripline-alert'), html: await answer.text() };
}

async function claimNext() {
  const next = await ask('POST', '/v1/alerts/claim-next');
  if (!next) return;
  if (!next.alert_id) {
    say('Nothing waits: every alert is looked after.');
    if (alertId()) location.assign('/queue');
    return;
  }
  // What was fetched before shows at once; as it is claimed now, it is fetched once more behind it.
  if (ready?.id === next.alert_id) show(ready.html, `/queue/${next.alert_id}`);
  await load(`/queue/${next.alert_id}`);
}

// --- Acting --------------------------------------------------------------------------------------------------------

let last = null; // the last action, to be taken back: { id, until, path }

async function act(word, body) {
  const version = Number(main().dataset.version);
  return ask('POST', `/v1/alerts/${alertId()}/${word}`, body, version);
}

function remember(alert) {
  if (!alert.undo) return;
  last = { id: alert.undo.action_id, until: Date.parse(alert.undo.until), path: `/queue/${alert.alert_id}` };
  toast();
}

function toast() {
  const line = document.createElement('p');
  line.className = 'toast';
  const left = document.createElement('span');
  left.dataset.left = last.until;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Undo (u)';
  button.addEventListener('click', undo);
  line.append('Done. ', button, ' ', left);
  $('#toasts').replaceChildren(line);
  tick();
}

async function undo() {
  const shown = $('#undo');
  const id = shown?.dataset.action ?? last?.id;
  const path = shown ? `/queue/${alertId()}` : last?.path;
  if (!id) return say('There is nothing to take back.');
  const done = await ask('POST', `/v1/actions/${id}/undo`);
  if (!done) return;
  last = null;
  $('#toasts').replaceChildren();
  const wrong = done.items.filter((item) => !item.done);
  if (path && done.items.length === 1) await load(path); else await rows();
  if (wrong.length) box(wrong.map((item) => item.problem.detail).join(' ')); else say('Taken back.');
}

async function decide(event) {
  event.preventDefault();
  const form = $('#verdict');
  const disposition = new FormData(form).get('disposition');
  if (!disposition) return say('Choose a verdict first.');
  const body = { disposition, reason: $('#reason').value, note: $('#note').value || null, block: $('#block')?.checked ?? false };
  if (disposition !== 'fraud') body.block = false;
  const alert = await act('resolve', body);
  if (!alert) return;
  forget();
  remember(alert);
  await claimNext();
  say(`Decided. ${alertId() === alert.alert_id ? '' : 'The next alert is here.'}`);
}

function choose(place) {
  const input = all('#verdict input[name=disposition]')[place - 1];
  if (!input) return;
  input.checked = true;
  input.dispatchEvent(new Event('change', { bubbles: true }));
  $('#reason').focus();
}

function chosen() {
  const disposition = new FormData($('#verdict')).get('disposition');
  const options = $(`template[data-reasons=${disposition}]`).content.cloneNode(true);
  $('#reason').replaceChildren(options);
  const line = $('#block-line');
  if (line) line.hidden = disposition !== 'fraud';
}

// A dialog's answer: the button's value, or nothing.
function dialog(id) {
  const shown = $(id);
  return new Promise((done) => {
    shown.returnValue = '';
    shown.addEventListener('close', () => done(shown.returnValue), { once: true });
    shown.showModal();
  });
}

async function snooze() {
  const value = await dialog('#snooze');
  const until = value === 'until' ? new Date($('#snooze-until').value) : new Date(Date.now() + Number(value) * 60_000);
  if (!value || Number.isNaN(until.getTime())) return;
  const alert = await act('snooze', { until: until.toISOString() });
  if (alert) { remember(alert); await claimNext(); }
}

async function escalate() {
  if ((await dialog('#escalate')) !== 'yes') return;
  const alert = await act('escalate', { reason: $('#escalate-why').value });
  if (alert) { remember(alert); await claimNext(); }
}

async function assign() {
  if ((await dialog('#assign')) !== 'yes') return;
  if (await act('assign', { to: $('#assign-to').value || null })) await reload();
}

async function saveNote() {
  const text = $('#note').value;
  if (!text.trim()) return say('There is no note to save.');
  if (!(await act('notes', { text }))) return;
  $('#note').value = '';
  forget();
  await reload();
}

async function reveal() {
  const told = await ask('POST', `/v1/alerts/${alertId()}/reveal`);
  if (told) $('#alert-key').textContent = told.key;
}

async function simply(word) {
  if (await act(word)) await reload();
}

// --- Drafts and leases ---------------------------------------------------------------------------------------------

const draftKey = () => `draft ${document.body.dataset.me} ${alertId()}`;
const forget = () => localStorage.removeItem(draftKey());
let typed = 0, beaten = 0;

function typing() {
  typed = Date.now();
  localStorage.setItem(draftKey(), $('#note').value);
  $('#draft-state').textContent = 'Kept in this page.';
}

async function beat() {
  const here = main();
  if (here.dataset.holder !== document.body.dataset.me || Date.now() - typed > 120_000 || Date.now() - beaten < lease() / 3) return;
  beaten = Date.now();
  const answer = await fetch(`/v1/alerts/${alertId()}/heartbeat`, {
    method: 'POST', headers: { 'X-CSRF-Token': csrf, 'Content-Type': 'application/json' },
    body: JSON.stringify({ draft: $('#note')?.value ?? '' }),
  });
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) here.dataset.lease = Date.parse(data.lease_until);
  else if (data.code === 'lease_lapsed' || data.code === 'held') lapsed(data.detail);
  if (answer.ok && $('#draft-state')) $('#draft-state').textContent = 'Draft kept.';
}

const lease = () => Math.min(20_000, Math.max(1_000, Number(main().dataset.lease) - Date.now()));

function lapsed(why) {
  delete main().dataset.holder;
  box(`Your claim has lapsed. ${why ?? ''} Your note is kept.`, 'Take it again', () => simply('claim'));
}

// Counts down what carries a time, and says when a claim lapsed.
function tick() {
  const now = Date.now();
  for (const one of all('[data-left]')) {
    const s = Math.max(0, Math.round((Number(one.dataset.left) - now) / 1000));
    one.textContent = s >= 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s} s`;
  }
  if (last && last.until <= now) { last = null; $('#toasts').replaceChildren(); }
  const here = main();
  if (here?.dataset.holder === document.body.dataset.me && Number(here.dataset.lease) <= now) lapsed();
}

// --- The list ------------------------------------------------------------------------------------------------------

let at = -1; // the row that the keys stand on

function move(step) {
  const list = all('#rows tr[data-alert]');
  if (!list.length) return;
  at = Math.min(list.length - 1, Math.max(0, at + step));
  list.forEach((row, place) => row.classList.toggle('at', place === at));
  $('a', list[at]).focus();
}

async function rows() {
  const list = $('#rows');
  if (document.body.dataset.page !== 'list' || !list) return;
  const selected = new Set(picked().map((row) => row.dataset.alert));
  const here = all('#rows tr')[at]?.dataset.alert;
  const answer = await fetch(`/queue/rows?${main().dataset.query}`);
  if (!answer.ok || answer.redirected) return;
  // A table around them: rows alone are no document.
  const page = new DOMParser().parseFromString(`<table>${await answer.text()}</table>`, 'text/html');
  const hasFocus = list.contains(document.activeElement);
  list.replaceWith($('tbody', page));
  for (const row of all('#rows tr[data-alert]')) if (selected.has(row.dataset.alert)) $('input', row).checked = true;
  at = all('#rows tr').findIndex((row) => row.dataset.alert === here);
  if (at >= 0) { all('#rows tr')[at].classList.add('at'); if (hasFocus) $('a', all('#rows tr')[at]).focus(); }
  count();
  say('The list has changed.');
}

const picked = () => all('#rows tr[data-alert]').filter((row) => $('input', row)?.checked);

function count() {
  const bulk = $('#bulk');
  if (!bulk) return;
  const rows = picked();
  bulk.hidden = !rows.length;
  $('#bulk-count').textContent = `${rows.length} alert${rows.length === 1 ? '' : 's'}`;
}

async function bulkDecide(event) {
  event.preventDefault();
  const rows = picked();
  $('#confirm-title').textContent = `Decide ${rows.length} alerts`;
  $('#confirm-what').textContent = 'They are decided together, and can be taken back together for a minute.';
  if ((await dialog('#confirm')) !== 'yes') return;
  const disposition = $('#bulk-disposition').value;
  const alerts = rows.map((row) => ({ alert_id: row.dataset.alert, version: Number(row.dataset.version) }));
  const block = disposition === 'fraud' && $('#bulk-block').checked;
  const done = await ask('POST', '/v1/alerts/bulk', { alerts, disposition, reason: $('#bulk-reason').value, block });
  if (!done) return;
  last = { id: done.action_id, until: Date.parse(done.undo_until) };
  const wrong = done.items.filter((item) => !item.done);
  await rowsAgain();
  toast();
  if (wrong.length) box(`${wrong.length} of ${alerts.length} were left: ${wrong[0].problem.detail}`);
}

async function rowsAgain() { all('#rows input').forEach((input) => { input.checked = false; }); await rows(); }

// --- What happens meanwhile ----------------------------------------------------------------------------------------

let feed = null, due = null;

function listen() {
  feed?.close();
  feed = new EventSource(`/v1/alerts/events${alertId() ? `?alert=${encodeURIComponent(alertId())}` : ''}`);
  feed.addEventListener('alert', (event) => changed(JSON.parse(event.data)));
  feed.addEventListener('viewers', (event) => {
    const { names } = JSON.parse(event.data);
    if (!$('#viewers')) return;
    $('#viewers').textContent = names.join(', ');
    $('#viewers-fact').hidden = !names.length;
  });
  feed.addEventListener('database', (event) => { $('#database').hidden = JSON.parse(event.data).standing === 'ok'; });
}

function changed(change) {
  if (document.body.dataset.page === 'list') {
    // Several at once are one look.
    clearTimeout(due);
    due = setTimeout(rows, 300);
  } else if (change.alert_id === alertId() && change.version > Number(main().dataset.version)) {
    const hits = Number(main().dataset.hits);
    if (main().dataset.holder === document.body.dataset.me || !$('#note')?.value) {
      load(`/queue/${alertId()}`, false).then(() => {
        const more = Number(main().dataset.hits) - hits;
        if (more > 0) box(`${more} new hit${more === 1 ? '' : 's'} on this alert.`);
      });
    }
  }
}

// --- Keys ----------------------------------------------------------------------------------------------------------

let before = ''; // the key before, for g q

const KEYS = {
  j: () => move(1), k: () => move(-1), c: claimNext, u: undo, n: () => $('#note')?.focus(), r: () => $('#reason')?.focus(),
  s: () => $('#snooze-button')?.click(), e: () => $('#escalate-button')?.click(), t: () => $('#take')?.click(), a: () => $('#assign-button')?.click(),
  y: () => $('#approve')?.click(), b: () => $('#block')?.click(), '/': () => $('#search').focus(), '?': () => $('#help').showModal(),
  x: () => ($('#reject') ? $('#reject').click() : $('input', all('#rows tr')[at] ?? document.createElement('tr'))?.click()),
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $('dialog[open]')) return;
  const field = event.target.closest('input:not([type=checkbox]):not([type=radio]), textarea, select');
  if (event.key === 'Escape') return document.activeElement.blur();
  if (event.key === 'Enter' && event.target.id === 'reason') { event.preventDefault(); return $('#verdict').requestSubmit(); }
  if (field) return;
  if (before === 'g' && event.key === 'q') return location.assign('/queue');
  if (before === 'g' && event.key === 'd') return location.assign('/dashboard');
  before = event.key;
  const key = KEYS[event.key];
  if (key) { event.preventDefault(); key(); } else if (/^[1-4]$/.test(event.key) && $('#verdict')) { event.preventDefault(); choose(Number(event.key)); }
});

document.addEventListener('click', (event) => {
  const id = event.target.closest('button')?.id;
  const does = {
    'claim-next': claimNext, 'snooze-button': snooze, 'escalate-button': escalate, 'assign-button': assign, 'save-note': saveNote, reveal, undo,
    approve: () => simply('approve'), reject: () => simply('reject'), take: () => simply($('#take').dataset.does),
    'help-button': () => $('#help').showModal(), 'bulk-none': () => { all('#rows input').forEach((input) => { input.checked = false; }); count(); },
    'filter-save': async () => {
      const name = $('#filter-name').value.trim();
      if (name && await ask('PUT', `/v1/filters/${encodeURIComponent(name)}`, { query: main().dataset.query })) location.reload();
    },
  }[id];
  if (does) { event.preventDefault(); does(); }
  const forgotten = event.target.closest('[data-forget]')?.dataset.forget;
  if (forgotten) ask('DELETE', `/v1/filters/${encodeURIComponent(forgotten)}`).then((done) => done && location.reload());
});

document.addEventListener('submit', (event) => {
  if (event.target.id === 'verdict') decide(event);
  if (event.target.id === 'bulk') bulkDecide(event);
  if (event.target.id === 'note-form') { event.preventDefault(); saveNote(); }
});

document.addEventListener('change', (event) => {
  if (event.target.name === 'disposition') chosen();
  if (event.target.closest('#rows')) count();
  if (event.target.dataset.column) $('#alerts').classList.toggle(`no-${event.target.dataset.column}`, !event.target.checked);
  if (event.target.id === 'bulk-disposition') {
    const options = $(`template[data-reasons=${event.target.value}]`)?.content.cloneNode(true);
    $('#bulk-reason').disabled = !options;
    if (options) $('#bulk-reason').replaceChildren(options);
    $('#bulk-block-line').hidden = event.target.value !== 'fraud';
  }
});

document.addEventListener('input', (event) => {
  typed = Date.now();
  if (event.target.id === 'note') typing();
});
document.addEventListener('pointerdown', () => { typed = Date.now(); });
window.addEventListener('popstate', () => location.reload());

// --- Begin ---------------------------------------------------------------------------------------------------------

function begin() {
  document.body.dataset.page = alertId() ? 'alert' : document.body.dataset.page;
  typed = Date.now();
  const kept = alertId() && localStorage.getItem(draftKey());
  if (kept && $('#note') && !$('#note').value) $('#note').value = kept;
  listen();
  tick();
  prefetch();
}

if (csrf) {
  begin();
  setInterval(tick, 1000);
  setInterval(beat, 1000);
}
