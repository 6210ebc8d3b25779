// The review page: state, rows, keys. The server holds the truth: each change is sent,
// and what comes back is shown.
import {ask, over} from './dialogs.js';
import {Large} from './face.js';
import {Rows} from './rows.js';

const $ = (id) => document.getElementById(id);
const el = (tag, text, className = '') =>
    Object.assign(document.createElement(tag), {textContent: text, className});
const PERSON = 0, DROPPED = 1, REALIGNED = 2, DOUBT = 3, DISTANCE = 4, REASON = 5;
const FOLDED_LINES = 2, NEAR_DISTANCE = 0.5;

// Orders of the faces in a row: label, value of a face, lowest first.
const measure = (name) => (i) => set.faces[i][name] ?? Infinity;
const ORDERS = {
  doubt: ['doubtful first', (i) => -fact(i, DOUBT)],
  distance: ['far from the person', (i) => -fact(i, DISTANCE)],
  presence: ['hardly a face', measure('presence')],
  sharpness: ['blurred', measure('sharpness')],
  pixels: ['small', measure('pixels')],
  yaw: ['turned', measure('yaw')],
  pitch: ['looking down', measure('pitch')],
  roll: ['tilted', measure('roll')],
  eyes_open: ['eyes shut', measure('eyes_open')],
  mouth_open: ['mouth shut', measure('mouth_open')],
  brightness: ['dark', measure('brightness')],
  contrast: ['without contrast', measure('contrast')],
  visible: ['cut off', measure('visible')],
  covered: ['covered', (i) => -(set.faces[i].covered ?? -1)],
  time: ['time', (i) => set.place[i]],
};

let run = '', sets = [], set = null;   // set: the one whose tab is open
const fact = (face, which) => set.state.faces[face][which];
const personOf = (number) => set.state.people.find((p) => p.number === number);

// A row shows a person, by number; or a track of faces that were not told apart, numbered
// from -2 down; or, as REFUSED, what extraction took for no one's face.
const REFUSED = -1;
function rowOf(face) {
  const person = fact(face, PERSON);
  return person >= 0 ? person : set.faces[face].refused ? REFUSED : -2 - set.trackRow[face];
}

// ---------------------------------------------------------------- talk with the server

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: 'POST', body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}};
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    end('The program has ended', 'Every decision is saved. Start doppel review again to go on.');
    throw new Error('no server');
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  let why = text.trim();
  try { why = JSON.parse(text).error; } catch { /* a plain text */ }
  say(why, true);
  throw new Error(why);
}

// Sends one change at a time, in order: a second key may come before the first answer.
let queue = Promise.resolve();
function change(body, words) {
  const to = set;
  queue = queue.then(async () => {
    to.state = await request(`/api/change/${sets.indexOf(to)}`, body);
    if (to !== set) return;
    regroup();
    place(body.faces);
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

function label(row) {
  if (row === REFUSED) return 'Refused by extraction';
  if (row < REFUSED) return set.trackNames[-2 - row];
  const name = personOf(row)?.name;
  return name ? `${name} (person ${row})` : `Person ${row}`;
}

// Sorts the faces into `members`, row -> {faces, kept, doubt}.
function regroup() {
  const members = new Map();
  for (let i = 0; i < set.faces.length; ++i) {
    const row = rowOf(i);
    if (!members.has(row)) members.set(row, {faces: [], kept: 0, doubt: 0});
    const entry = members.get(row);
    entry.faces.push(i);
    if (fact(i, DROPPED)) continue;
    ++entry.kept;
    entry.doubt += fact(i, DOUBT);
  }
  set.members = members;
}

// Ranks faces and rows anew. Between two calls nothing changes its place by itself.
function rank() {
  const [, value] = ORDERS[$('order').value];
  const sign = $('reverse').ariaPressed === 'true' ? -1 : 1;
  const values = set.faces.map((_, i) => value(i) * (sign === 1 || value(i) === Infinity ? 1 : -1));
  const order = set.faces.map((_, i) => i);
  order.sort((a, b) => fact(a, DROPPED) - fact(b, DROPPED) || values[a] - values[b] || a - b);
  set.rank = [];
  order.forEach((face, at) => { set.rank[face] = at; });
  // Rows by the mean doubt of their faces; few faces deserve a look too.
  const doubt = ({kept, doubt}) => kept ? (doubt + 1) / kept : -1;
  const rows = [...set.members].sort(([, a], [, b]) => doubt(b) - doubt(a));
  set.rowRank = new Map(rows.map(([row], at) => [row, at]));
}

function passes(i) {
  const {shown, person, track, mark} = set.filter;
  const dropped = fact(i, DROPPED) === 1;
  if (shown === 'kept' && dropped || shown === 'dropped' && !dropped) return false;
  if (shown === 'refused' && !set.faces[i].refused) return false;
  if (person !== '' && rowOf(i) !== +person) return false;
  if (track !== '' && set.faces[i].track !== +track) return false;
  return mark === '' || set.faces[i].marks.includes(mark);
}

// Lays the rows out. moved: faces of the last change, whose new row goes behind their old one.
function place(moved = []) {
  const next = behind(moved);
  const rows = new Map();
  for (let i = 0; i < set.faces.length; ++i) {
    if (!passes(i)) continue;
    const row = rowOf(i);
    if (!rows.has(row)) rows.set(row, []);
    rows.get(row).push(i);
  }
  for (const row of rows.keys())
    if (!set.rowRank.has(row))
      set.rowRank.set(row, (set.rowRank.get(set.lastRow) ?? 0) + 0.5 - 1 / (row + 3));
  const order = [...rows.keys()].sort((a, b) => set.rowRank.get(a) - set.rowRank.get(b));
  const whole = $('unfold').ariaPressed === 'true' || order.length === 1;
  set.hidden = new Map();
  let found = 0;
  const groups = order.map((row) => {
    const faces = rows.get(row).sort((a, b) => set.rank[a] - set.rank[b]);
    found += faces.length;
    const most = whole || set.unfolded.has(row) ? faces.length : FOLDED_LINES * list.columns();
    set.hidden.set(row, Math.max(0, faces.length - most));
    return {row, faces: faces.slice(0, most)};
  });
  set.rows = rows;
  for (const face of set.selection) if (!passes(face)) set.selection.delete(face);
  list.set(groups);
  if (!list.lineOf.has(set.active)) {
    set.active = list.lineOf.has(next) ? next : list.order[0];
    list.refresh();
  }
  $('found').textContent = found === set.faces.length ? '' : `shows ${found} of ${set.faces.length}`;
  fillPeople();
  tell();
}

// The first face behind those of a change, to go on with.
function behind(faces) {
  if (!faces.length) return set.active;
  const gone = new Set(faces);
  const order = list.order ?? [];
  let at = order.findLastIndex((f) => gone.has(f));
  while (at >= 0 && at < order.length && gone.has(order[at])) ++at;
  return order[at] ?? order.findLast((f) => !gone.has(f));
}

function makeHead(row) {
  const {faces, kept} = set.members.get(row) ?? {faces: [], kept: 0};
  const dropped = faces.length - kept, person = row >= 0 ? personOf(row) : null;
  const marks = new Map();
  for (const face of faces)
    if (!fact(face, DROPPED))
      for (const mark of set.faces[face].marks) marks.set(mark, (marks.get(mark) ?? 0) + 1);
  const parts = [el('h2', label(row)),
                 el('span', `${kept} kept` + (dropped ? `, ${dropped} dropped` : ''), 'soft')];
  if (marks.size)
    parts.push(el('span', [...marks].sort((a, b) => b[1] - a[1])
        .map(([mark, n]) => `${n} ${mark}`).join(', '), 'marks'));
  const button = (text, key, what) => {
    const b = el('button', text);
    if (key) b.append(' ', el('kbd', key));
    b.addEventListener('click', () => { what(row); focusList(); });
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
    button(`Like ${label(person.near)}: merge`, '', () => move(rowFaces(row), person.near));
  return parts;
}

const thumbnail = (face) => `/thumb/${sets.indexOf(set)}/${face}?run=${run}`;
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
  const dropped = fact(face, DROPPED) === 1, selected = set.selection.has(face);
  tile.className = `tile${dropped ? ' dropped' : ''}${selected ? ' selected' : ''}` +
                   (face === set.active ? ' active' : '');
  tile.ariaSelected = String(selected);
  const words = dropped ? fact(face, REASON) || 'dropped' :
      [...(typeof value === 'number' ? [String(value)] : []), ...marks].join(', ');
  tile.ariaLabel = `Face ${face}, ${label(rowOf(face))}, ` +
                   `${dropped ? 'dropped: ' : 'kept'}${words ? ` ${words}` : ''}`;
  tile.title = `${set.faces[face].name}${words ? `\n${words}` : ''}`;
  const [, caption, corner] = tile.children;
  caption.textContent = words;
  caption.hidden = !words;
  corner.textContent = fact(face, REALIGNED) ? '✎ eyes set' : '';
  corner.hidden = !fact(face, REALIGNED);
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
  $('counts').replaceChildren(
      el('b', state.kept), ` kept, ${set.faces.length - state.kept} dropped, `,
      el('b', people), people === 1 ? ' row' : ' rows');
  $('undo').disabled = !state.undoable;
  $('redo').disabled = !state.redoable;
  $('selected').textContent = selection.size ? `${selection.size} selected: k, d, s or m` :
      people > 1 ? `${people} rows are kept: training takes all for one person` : '';
  $('command').textContent = command();
  if (set.active !== undefined) $('list').setAttribute('aria-activedescendant', `f${set.active}`);
}

function options(id, entries) {
  const value = $(id).value;
  $(id).replaceChildren(...entries.map(([v, text]) => new Option(text, v)));
  $(id).value = entries.some(([v]) => v === value) ? value : entries[0][0];
}
const fillPeople = () => options('person', [['', 'all'],
    ...[...set.members.keys()].sort((a, b) => (a < 0) - (b < 0) || Math.abs(a) - Math.abs(b))
        .map((row) => [String(row), label(row)])]);

function fillFilters() {
  const tracks = [...new Set(set.faces.map((f) => f.track))].sort((a, b) => a - b);
  const marks = new Map();
  for (const face of set.faces)
    for (const mark of face.marks) marks.set(mark, (marks.get(mark) ?? 0) + 1);
  options('track', [['', 'all'], ...tracks.map((t) => [String(t), `track ${t}`])]);
  options('mark', [['', 'any'], ...[...marks].map(([m, n]) => [m, `${m} (${n})`])]);
  for (const id of ['shown', 'person', 'track', 'mark']) $(id).value = set.filter[id];
}

// ---------------------------------------------------------------- what keys and buttons do

const focusList = () => $('list').focus({preventScroll: true});
const faces = (n) => n === 1 ? '1 face' : `${n} faces`;
const chosen = () => set.selection.size ? [...set.selection] :
    set.active === undefined ? [] : [set.active];
const rowFaces = (row) => set.members.get(row)?.faces ?? [];
const activeRow = () => set.active === undefined ? undefined : rowOf(set.active);

function activate(face) {
  if (face === undefined) return;
  set.active = face;
  list.reveal(face);
  list.refresh();
  tell();
}

// Keeps or drops the chosen faces and goes on to the next one.
function decide(what, which = chosen(), words = '') {
  if (!which.length) return Promise.resolve();
  const next = set.selection.size ? set.active : behind(which);
  set.selection.clear();
  const done = what === 'drop' ? 'Dropped' : 'Kept';
  return change({do: what, faces: which, text: what === 'drop' ? words || 'by hand' : ''},
                `${done} ${faces(which.length)}.`).then(() => activate(
      list.lineOf.has(next) ? next : set.active));
}
function dropRow(row) {
  const which = rowFaces(row).filter((i) => !fact(i, DROPPED));
  if (which.length) decide('drop', which, `all of ${label(row)}`);
}
// Faces that extraction refused come back one by one only, or where just they are shown.
function keepRow(row) {
  const also = set.filter.shown === 'refused';
  const which = (set.rows.get(row) ?? []).filter(
      (i) => fact(i, DROPPED) && (also || !set.faces[i].refused));
  if (which.length) decide('keep', which);
  else say('Its dropped faces were refused by extraction: select those to keep and press k.');
}
function onlyRow(row) {
  const which = set.faces.map((_, i) => i).filter((i) => rowOf(i) !== row && !fact(i, DROPPED));
  if (which.length) decide('drop', which, `not ${label(row)}`);
  else say(`${label(row)} is the only one already.`);
}

function move(which, person) {
  set.selection.clear();
  set.lastRow = rowOf(which[0]);
  return change({do: 'move', faces: which, person},
                `Moved ${faces(which.length)} to ${person === 'new' ? 'a new person' :
                                                                    label(person)}.`);
}
const split = () => { if (chosen().length) move(chosen(), 'new'); };

function moveTo(which, from) {
  if (!which.length) return;
  const choices = set.state.people.filter((p) => p.number !== from && p.number >= 0).map((p) => {
    const face = [...rowFaces(p.number)].sort((a, b) => fact(a, DOUBT) - fact(b, DOUBT))[0];
    return {text: `${label(p.number)}, ${p.kept} kept`, value: p.number, face};
  });
  choices.push({text: 'a new person', value: 'new'});
  pick(`Move ${faces(which.length)} to`, '', choices)
      .then(({value}) => move(which, value)).catch(() => {});
}
const mergeRow = (row) => moveTo(rowFaces(row), row);

// A track without a person becomes one with its name.
function nameRow(row) {
  if (row === REFUSED) return say('These are no one: select some and press s first.', true);
  pick(`Name of ${label(row)}`, row >= 0 ? personOf(row).name : '').then(async ({text}) => {
    const some = rowFaces(row)[0];
    if (row < 0) await move(rowFaces(row), 'new');
    const person = fact(some, PERSON);
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

// Numbers the tracks of all sources for rowOf(); a track's own number counts in a source.
function nameTracks(to) {
  const several = new Set(to.faces.map((f) => f.source)).size > 1;
  const numbers = new Map();
  to.trackNames = [];
  to.trackRow = to.faces.map(({track, source}) => {
    const key = `${track} ${source}`;
    if (!numbers.has(key)) {
      numbers.set(key, numbers.size);
      to.trackNames.push(`Track ${track}${several ? ` of ${source}` : ''}`);
    }
    return numbers.get(key);
  });
}

async function openSet(index) {
  const wanted = sets[index];
  if (!wanted) return;
  if (!wanted.faces) {
    wanted.faces = await request(`/api/faces/${index}`);
    wanted.state = await request(`/api/state/${index}`);
    const order = wanted.faces.map((_, i) => i).sort((a, b) => {
      const x = wanted.faces[a], y = wanted.faces[b];
      return x.source < y.source ? -1 : x.source > y.source ? 1 : x.frame - y.frame;
    });
    wanted.place = [];
    order.forEach((face, at) => { wanted.place[face] = at; });
    nameTracks(wanted);
  }
  if (set) set.scroll = $('list').scrollTop;
  set = wanted;
  [...$('sets').children].forEach((tab, i) => { tab.ariaSelected = String(i === index); });
  regroup();
  fillPeople();
  fillFilters();
  if (!set.rank) rank();
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
  end('Done', `${set.state.kept} faces kept in ${set.path}. Every decision is saved; this tab ` +
               'can be closed. The next command is');
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
  ['d', 'drop the selection, or the face', () => decide('drop')],
  ['k', 'keep it; takes refused faces back', () => decide('keep')],
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
  ['[', 'the set before', () => openSet(sets.indexOf(set) - 1)],
  [']', 'the next set', () => openSet(sets.indexOf(set) + 1)],
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
  url: (face) => `${sets.indexOf(set)}/${face}`,
  run: () => run,
  request,
  about: (face) => ({...set.faces[face], person: label(rowOf(face)),
                     dropped: fact(face, DROPPED) === 1, reason: fact(face, REASON),
                     distance: fact(face, DISTANCE)}),
  next: (face, step) => list.neighbour(face, step, 0),
  decide: (what, face) => decide(what, [face]).then(() => large.show(set.active)),
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
  const state = await request(`/api/state/${sets.indexOf(looked)}`);
  looked.state = state;
  if (looked !== set) return;
  regroup();
  place();
});

const help = (key) => key === ' ' ? 'Space' : key;
$('key-table').append(...KEYS.filter((k) => k[1]).map(([key, words]) => {
  const line = el('div', '');
  line.append(el('kbd', help(key)), words);
  return line;
}));
options('order', Object.entries(ORDERS).map(([key, [text]]) => [key, text]));

const about = await request('/api/sets');
run = about.run;
sets = about.sets.map(({path}) => ({
  path, scroll: 0, selection: new Set(), unfolded: new Set(),
  filter: {shown: 'all', person: '', track: '', mark: ''}}));
$('sets').append(...sets.map((s, index) => {
  const tab = el('button', s.path.replace(/\/+$/, '').split('/').slice(-2).join('/'));
  tab.setAttribute('role', 'tab');
  tab.title = s.path;
  tab.addEventListener('click', () => openSet(index));
  return tab;
}));
await openSet(0);
