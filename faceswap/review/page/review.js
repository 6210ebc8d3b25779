// The review page: state, rows, keys. The server holds the truth: each change is sent,
// and what comes back is shown.
import {ask, over} from './dialogs.js';
import {Large} from './face.js';
import {Rows} from './rows.js';
import {DISTANCE, DOUBT, FaceSet, ORDERS, PERSON, REALIGNED, REASON, REFUSED} from './set.js';

const $ = (id) => document.getElementById(id);
const el = (tag, text, className = '') =>
    Object.assign(document.createElement(tag), {textContent: text, className});
const FOLDED_LINES = 2, NEAR_DISTANCE = 0.5;

let run = '', sets = [], set = null;  // set: the one whose tab is open

// ---------------------------------------------------------------- talk with the server

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: 'POST', body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}};
  let answer, text;
  try {
    answer = await fetch(path, options);
    text = await answer.text();
  } catch {
    end('The program has ended', 'Every decision is saved. Start doppel review again to go on.');
    throw new Error('no server');
  }
  if (answer.ok) return JSON.parse(text);
  let why = text.trim();
  try { why = JSON.parse(text).error; } catch { /* a plain text */ }
  say(why, true);
  throw new Error(why);
}

// Sends one change at a time, in order: a second key may come before the first answer.
// next: the face to go on with.
let queue = Promise.resolve();
function change(body, words, next) {
  const to = set;
  queue = queue.then(async () => {
    to.update(await request(`/api/change/${to.index}`, body));
    if (to !== set) return;
    place(next);
    if (next !== undefined) activate(set.active);
    say(words);
    if (large.open) await large.reload();
  }).catch(() => {});
  return queue;
}

function say(words, bad = false) {
  $('status').textContent = words;
  $('status').className = bad ? 'bad' : '';
}

// ---------------------------------------------------------------- rows and their order

const pressed = (id) => $(id).ariaPressed === 'true';
const rank = () => set.rank($('order').value, pressed('reverse'));

// Lays the rows out anew and goes on with the face `next`, if it is still shown.
function place(next = set.active) {
  if (!set.members.has(+set.filter.person)) set.filter.person = '';
  set.filterRows(set.lastRow);
  const whole = pressed('unfold') || set.rows.size === 1;
  set.hidden = new Map();
  const groups = [...set.rows].map(([row, faces]) => {
    const most = whole || set.unfolded.has(row) ? faces.length : FOLDED_LINES * list.columns();
    set.hidden.set(row, Math.max(0, faces.length - most));
    return {row, faces: faces.slice(0, most)};
  });
  list.set(groups, set);
  const shown = [next, set.active].filter((face) => list.lineOf.has(face));
  set.active = shown[0] ?? list.order[0];
  list.refresh();
  const found = [...set.rows.values()].reduce((sum, faces) => sum + faces.length, 0);
  const all = set.faces.length;
  $('found').textContent = found === all ? '' : `shows ${found} of ${all}`;
  fillPeople();
  tell();
}

// The face to go on with after a change of some: the active one, or the first behind them.
function behind(faces) {
  const gone = new Set(faces), {order} = list;
  if (!gone.has(set.active)) return set.active;
  let at = order.indexOf(set.active);
  while (at < order.length && gone.has(order[at])) ++at;
  return order[at] ?? order.findLast((face) => !gone.has(face));
}

function makeHead(row) {
  const {faces, kept} = set.members.get(row) ?? {faces: [], kept: 0};
  const dropped = faces.length - kept, person = row >= 0 ? set.person(row) : null;
  const marks = set.marks(faces.filter((face) => !set.dropped(face)));
  const parts = [el('h2', set.label(row)),
                 el('span', `${kept} kept` + (dropped ? `, ${dropped} dropped` : ''), 'soft')];
  if (marks.length)
    parts.push(el('span', marks.map(([mark, n]) => `${n} ${mark}`).join(', '), 'marks'));
  const button = (text, key, what) => {
    const b = el('button', text);
    if (key) b.append(' ', el('kbd', key));
    b.addEventListener('click', () => {
      set.active = set.rows.get(row)[0];  // the next key is for this row too
      list.refresh();
      tell();
      what(row);
      focusList();
    });
    parts.push(b);
  };
  const hidden = set.hidden.get(row);
  if (hidden || set.unfolded.has(row)) button(hidden ? `${hidden} more` : 'Fold', 'e', unfold);
  if (row !== REFUSED) button('Only this', 'o', onlyRow);
  if (kept) button('Drop all', 'D', dropRow);
  if (dropped) button('Keep all', 'K', keepRow);
  button('Select', 'a', selectRow);
  if (row !== REFUSED) button('Name', 'n', nameRow);
  button('Merge', 'm', mergeRow);
  if (person && person.near >= 0 && person.distance < NEAR_DISTANCE)
    button(`Like ${set.label(person.near)}: merge`, '', () => move(set.rowFaces(row), person.near));
  return parts;
}

const thumbnail = (face) => `/thumb/${set.index}/${face}?run=${run}`;
function makeTile(face) {
  const tile = el('div', '', 'tile');
  tile.id = `f${face}`;
  tile.setAttribute('role', 'option');
  const image = el('img', '');
  image.alt = '';
  image.draggable = false;
  image.src = thumbnail(face);
  tile.append(image, el('span', ''), el('span', '', 'corner'));
  return tile;
}

function paint(tile, face) {
  const {marks, [$('order').value]: value} = set.faces[face];
  const dropped = set.dropped(face), selected = set.selection.has(face);
  tile.className = `tile${dropped ? ' dropped' : ''}${selected ? ' selected' : ''}` +
                   (face === set.active ? ' active' : '');
  tile.ariaSelected = String(selected);
  const words = dropped ? set.fact(face, REASON) || 'dropped' :
      [...(typeof value === 'number' ? [String(value)] : []), ...marks].join(', ');
  tile.ariaLabel = `Face ${face}, ${set.label(set.rowOf(face))}, ` +
                   `${dropped ? 'dropped: ' : 'kept'}${words ? ` ${words}` : ''}`;
  tile.title = `${set.faces[face].name}${words ? `\n${words}` : ''}`;
  const [, caption, corner] = tile.children;
  caption.textContent = words;
  caption.hidden = !words;
  corner.textContent = set.fact(face, REALIGNED) ? '✎ eyes set' : '';
  corner.hidden = !set.fact(face, REALIGNED);
}

// ---------------------------------------------------------------- words round the rows

const quoted = (path) => /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
function command() {
  const others = sets.filter((s) => s !== sets[0]);
  return `doppel train -A ${quoted(sets[0].path)} ` +
         `-B ${others.length ? quoted(others[0].path) : 'FACES_OF_B'} -m model`;
}

function tell() {
  const {state, selection} = set;
  const people = [...set.members].filter(([row, m]) => row !== REFUSED && m.kept).length;
  const dropped = set.faces.length - state.kept;
  $('counts').replaceChildren(el('b', state.kept), ` kept, ${dropped} dropped`);
  $('undo').disabled = !state.undoable;
  $('redo').disabled = !state.redoable;
  $('selected').textContent = selection.size ? `${selection.size} selected: k, d, s or m` :
      people > 1 ? `${people} rows have kept faces: training takes all for one person` : '';
  $('command').textContent = command();
  if (set.active !== undefined) $('list').setAttribute('aria-activedescendant', `f${set.active}`);
}

function options(id, entries) {
  const value = $(id).value;
  $(id).replaceChildren(...entries.map(([v, text]) => new Option(text, v)));
  $(id).value = entries.some(([v]) => v === value) ? value : entries[0][0];
}
// Rows as the menus list them: people by number, then tracks.
const listed = () => [...set.members.keys()].sort(
    (a, b) => (a < 0) - (b < 0) || Math.abs(a) - Math.abs(b));
function fillPeople() {
  options('person', [['', 'all'], ...listed().map((row) => [String(row), set.label(row)])]);
  $('person').value = set.filter.person;
}

function fillFilters() {
  const tracks = [...new Set(set.faces.map((f) => f.track))].sort((a, b) => a - b);
  options('track', [['', 'all'], ...tracks.map((t) => [String(t), `track ${t}`])]);
  const marks = set.marks(set.faces.map((_, i) => i));
  options('mark', [['', 'any'], ...marks.map(([mark, n]) => [mark, `${mark} (${n})`])]);
  for (const id of ['shown', 'person', 'track', 'mark']) $(id).value = set.filter[id];
}

// ---------------------------------------------------------------- what keys and buttons do

const focusList = () => $('list').focus({preventScroll: true});
const count = (n) => n === 1 ? '1 face' : `${n} faces`;
const chosen = () => set.selection.size ? [...set.selection] :
    set.active === undefined ? [] : [set.active];
const activeRow = () => set.active === undefined ? undefined : set.rowOf(set.active);

function activate(face) {
  if (face === undefined) return;
  set.active = face;
  list.reveal(face);
  list.refresh();
  tell();
}

function decide(what, which, words = '') {
  if (!which.length) return Promise.resolve();
  const [done, text] = what === 'drop' ? ['Dropped', words.slice(0, 50)] : ['Kept', ''];
  return change({do: what, faces: which, text}, `${done} ${count(which.length)}.`, behind(which));
}
function decideChosen(what) {
  const which = chosen();
  set.selection.clear();
  decide(what, which);
}
function dropRow(row) {
  const which = set.rowFaces(row).filter((i) => !set.dropped(i));
  if (which.length) decide('drop', which, `all of ${set.label(row)}`);
}
// Faces that extraction refused come back one by one only, or where just they are shown.
function keepRow(row) {
  const also = set.filter.shown === 'refused';
  const which = (set.rows.get(row) ?? []).filter(
      (i) => set.dropped(i) && (also || !set.faces[i].refused));
  if (which.length) decide('keep', which);
  else say('Its dropped faces were refused by extraction: select those to keep and press k.');
}
function onlyRow(row) {
  const which = set.faces.map((_, i) => i).filter((i) => set.rowOf(i) !== row && !set.dropped(i));
  if (which.length) decide('drop', which, `not ${set.label(row)}`);
  else say(`${set.label(row)} is the only one already.`);
}

// A new person is gone on with, to name it; else those that are left are.
function move(which, person) {
  set.selection.clear();
  set.lastRow = set.rowOf(which[0]);
  const made = person === 'new', to = made ? 'a new person' : set.label(person);
  return change({do: 'move', faces: which, person}, `Moved ${count(which.length)} to ${to}.`,
                made ? which[0] : behind(which));
}
const split = () => { if (chosen().length) move(chosen(), 'new'); };

// Into another row. A track without a person becomes one together with them.
function moveTo(which, from) {
  if (!which.length) return;
  const sure = (a, b) => set.fact(a, DOUBT) - set.fact(b, DOUBT);
  const choices = listed().filter((row) => row !== from && row !== REFUSED).map((row) => ({
    text: `${set.label(row)}, ${set.members.get(row).kept} kept`, value: row,
    face: [...set.rowFaces(row)].sort(sure)[0]}));
  choices.push({text: 'a new person', value: 'new'});
  pick(`Move ${count(which.length)} to`, '', choices).then(({value}) =>
      value < REFUSED ? move([...which, ...set.rowFaces(value)], 'new') : move(which, value))
      .catch(() => {});
}
const mergeRow = (row) => moveTo(set.rowFaces(row), row);

// A track without a person becomes one with its name.
function nameRow(row) {
  if (row === REFUSED) return say('These are no one: select some and press s first.', true);
  pick(`Name of ${set.label(row)}`, row >= 0 ? set.person(row).name : '').then(async ({text}) => {
    const some = set.rowFaces(row)[0];
    if (row < 0) await move(set.rowFaces(row), 'new');
    const person = set.fact(some, PERSON);
    return change({do: 'rename', person, text},
                  text ? `Person ${person} is ${text}.` : `Person ${person} has no name.`);
  }).catch(() => {});
}
const pick = (title, text, choices) => ask(title, text, choices, thumbnail).finally(focusList);

function selectRow(row) {
  const shown = set.rows.get(row) ?? [];
  const all = shown.every((face) => set.selection.has(face));
  for (const face of shown) set.selection[all ? 'delete' : 'add'](face);
  list.refresh();
  tell();
}
function selectShown() {
  for (const row of set.rows.values()) for (const face of row) set.selection.add(face);
  list.refresh();
  tell();
}
function toggle(face) {
  if (face === undefined) return;
  if (!set.selection.delete(face)) set.selection.add(face);
  set.anchor = face;
  activate(face);
}
function selectTo(face) {
  for (const f of list.between(set.anchor ?? set.active, face)) set.selection.add(f);
  activate(face);
}
function unfold(row) {
  if (!set.unfolded.delete(row)) set.unfolded.add(row);
  place();
}
// To a person, or without people to the track of that number.
function jump(number) {
  const rows = [...set.rows.keys()];
  const row = rows.includes(number) ? number : rows.find(
      (r) => r < REFUSED && set.faces[set.rows.get(r)[0]].track === number);
  if (row === undefined) return say(`Person ${number} is not shown.`, true);
  activate(set.rows.get(row)[0]);
  list.revealRow(row);
}
const undo = () => set.state.undoable ? change({do: 'undo'}, 'Undone.') :
                                        say('There is nothing to undo.');
const redo = () => set.state.redoable ? change({do: 'redo'}, 'Done again.') :
                                        say('There is nothing to redo.');

async function openSet(index) {
  const wanted = sets[index];
  if (!wanted) return;
  if (!wanted.faces)
    wanted.fill(await request(`/api/faces/${index}`), await request(`/api/state/${index}`));
  if (set) set.scroll = $('list').scrollTop;
  set = wanted;
  say('');
  [...$('sets').children].forEach((tab, i) => { tab.ariaSelected = String(i === index); });
  fillPeople();
  fillFilters();
  rank();
  place();
  $('list').scrollTop = set.scroll;
  list.render();
  focusList();
}

function end(title, text) {
  over(title, text, sets.length ? command() : '');
}
async function finish() {
  await queue;
  await request('/api/done', {});
  const kept = sets.filter((s) => s.state).map((s) => `${s.state.kept} faces in ${s.path}`);
  end('Done', `Kept are ${kept.join(' and ')}. Every decision is saved, and this tab can be ` +
              'closed. The next command is');
}

// ---------------------------------------------------------------- keys and clicks

const arrow = (dx, dy) => (event) => {
  const from = set.active;
  const to = from === undefined ? list.order[0] : list.neighbour(from, dx, dy);
  if (!event.shiftKey) set.anchor = to;
  if (event.shiftKey) selectTo(to);
  else activate(to);
};
const withRow = (what) => () => {
  if (activeRow() !== undefined) what(activeRow());
};
const KEYS = [  // key, words for the help, what it does
  ['ArrowLeft', '', arrow(-1, 0)], ['ArrowRight', '', arrow(1, 0)],
  ['ArrowUp', '', arrow(0, -1)], ['ArrowDown', '', arrow(0, 1)],
  ['arrows', 'go to a face; with Shift select on the way'],
  [' ', 'select the face, or not', () => toggle(set.active)],
  ['Enter', 'large view: landmarks, mask, eyes', () => large.show(set.active)],
  ['d', 'drop the selection, or the face', () => decideChosen('drop')],
  ['k', 'keep it; takes refused faces back', () => decideChosen('keep')],
  ['D', 'drop the whole person', withRow(dropRow)],
  ['K', 'keep the whole person', withRow(keepRow)],
  ['o', 'keep only this person', withRow(onlyRow)],
  ['s', 'split: the selection is a new person', split],
  ['m', 'move the selection into a person, or merge this whole person', () =>
      set.selection.size ? moveTo([...set.selection]) :
                           withRow(mergeRow)()],
  ['n', 'name the person', withRow(nameRow)],
  ['u', 'undo', undo],
  ['r', 'redo', redo],
  ['a', 'select the row, or none of it', withRow(selectRow)],
  ['A', 'select all that is shown', selectShown],
  ['Escape', 'select nothing', () => { set.selection.clear(); list.refresh(); tell(); }],
  ['0-9', 'go to the person of that number'],
  ['e', 'the whole row, or its first lines', withRow(unfold)],
  ['E', 'all rows whole, or their first lines', () => press('unfold')],
  ['f', 'to the filters', () => $('shown').focus()],
  ['[', 'the set before', () => openSet(set.index - 1)],
  [']', 'the next set', () => openSet(set.index + 1)],
  ['?', 'this list', () => $('keys').showModal()],
];
const actions = new Map(KEYS.filter((k) => k[2]).map(([key, , what]) => [key, what]));

function press(id) {
  $(id).ariaPressed = String($(id).ariaPressed !== 'true');
  if (id === 'reverse') rank();
  place();
  activate(set.active);
}

document.addEventListener('keydown', (event) => {
  if (!set || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector('dialog[open]')) return;
  const {tagName} = event.target, single = event.key.length === 1 && event.key !== ' ';
  if (tagName === 'SELECT' && event.key !== 'Escape') return;
  if (tagName === 'BUTTON' && !single) return;
  if (tagName === 'SELECT') return focusList();
  const what = /^\d$/.test(event.key) ? () => jump(+event.key) : actions.get(event.key);
  if (!what) return;
  event.preventDefault();
  what(event);
});

const tileOf = (event) => {
  const tile = event.target.closest('.tile');
  return tile ? +tile.id.slice(1) : undefined;
};
$('list').addEventListener('click', (event) => {
  const face = tileOf(event);
  if (face === undefined) return;
  if (event.shiftKey) selectTo(face);
  else toggle(face);
});
$('list').addEventListener('dblclick', (event) => {
  const face = tileOf(event);
  if (face === undefined) return;
  set.selection.delete(face);
  large.show(face);
});
$('list').addEventListener('mousedown', (event) => {
  if (event.shiftKey) event.preventDefault();  // selects faces, not text
});

const list = new Rows($('list'), $('space'), makeHead, makeTile, paint);
const large = new Large({
  url: (face) => `${set.index}/${face}`,
  run: () => run,
  request,
  about: (face) => ({...set.faces[face], row: set.label(set.rowOf(face)),
                     dropped: set.dropped(face), reason: set.fact(face, REASON),
                     distance: set.fact(face, DISTANCE)}),
  next: (face, step) => list.neighbour(face, step, 0),
  decide: async (what, face) => {
    await decide(what, [face]);
    await large.show(set.active);
  },
  align: (face, eyes) => change({do: 'align', faces: [face], eyes}, 'The eyes are set.'),
  undo, redo,
  closed: (face) => { activate(face); focusList(); },
});

for (const id of ['shown', 'person', 'track', 'mark'])
  $(id).addEventListener('change', () => {
    set.filter[id] = $(id).value;
    place();
    activate(set.active);
  });
$('order').addEventListener('change', () => { rank(); place(); activate(list.order[0]); });
for (const id of ['reverse', 'unfold']) $(id).addEventListener('click', () => press(id));
$('undo').addEventListener('click', () => { undo(); focusList(); });
$('redo').addEventListener('click', () => { redo(); focusList(); });
$('help').addEventListener('click', () => $('keys').showModal());
$('done').addEventListener('click', finish);
$('copy').addEventListener('click', () =>
    navigator.clipboard.writeText(command()).then(() => say('Copied.')));
addEventListener('resize', () => { if (set) place(); });
addEventListener('focus', async () => {  // `doppel faces` may have decided meanwhile
  if (!set || $('over').open) return;
  const looked = set;
  looked.update(await request(`/api/state/${looked.index}`));
  if (looked === set) place();
});

const help = (key) => ({' ': 'Space', Escape: 'Esc'})[key] ?? key;
$('key-table').append(...KEYS.filter((k) => k[1]).map(([key, words]) => {
  const line = el('div', '');
  line.append(el('kbd', help(key)), words);
  return line;
}));
options('order', Object.entries(ORDERS).map(([key, [text]]) => [key, text]));

const about = await request('/api/sets');
run = about.run;
sets = about.sets.map(({path}, index) => new FaceSet(index, path));
$('sets').append(...sets.map((s, index) => {
  const tab = el('button', s.path.replace(/\/+$/, '').split('/').slice(-2).join('/'));
  tab.setAttribute('role', 'tab');
  tab.title = s.path;
  tab.addEventListener('click', () => openSet(index));
  return tab;
}));
await openSet(0);
