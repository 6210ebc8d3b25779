// One face set: what the server said about its faces, their rows and their order. Faces
// are numbered as on the server.
export const PERSON = 0, DROPPED = 1, REALIGNED = 2, DOUBT = 3, DISTANCE = 4, REASON = 5;

// A row shows a person, by number; or the track of faces that were not told apart, numbered
// from -2 down; or, as REFUSED, what extraction took for no one's face.
export const REFUSED = -1;

// Orders of the faces in a row: words, and the value of a face; the lowest comes first.
const measure = (name) => (set, i) => set.faces[i][name] ?? Infinity;
export const ORDERS = {
  doubt: ['doubtful first', (set, i) => -set.fact(i, DOUBT)],
  distance: ['far from the person', (set, i) => -set.fact(i, DISTANCE)],
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
  covered: ['covered', (set, i) => -(set.faces[i].covered ?? -1)],
  time: ['time', (set, i) => set.time[i]],
};

export class FaceSet {
  constructor(index, path) {
    Object.assign(this, {index, path, faces: null, state: null});
    this.filter = {shown: 'all', person: '', track: '', mark: ''};
    this.selection = new Set();
    this.unfolded = new Set();  // rows shown whole
    this.active = undefined;    // the face that keys are for
    this.scroll = 0;
  }

  // faces and state: the server's answers (see api.h)
  fill(faces, state) {
    this.faces = faces;
    this.numberTracks();
    const order = faces.map((_, i) => i).sort((a, b) => {
      const x = faces[a], y = faces[b];
      return x.source < y.source ? -1 : x.source > y.source ? 1 : x.frame - y.frame;
    });
    this.time = [];
    order.forEach((face, at) => { this.time[face] = at; });
    this.update(state);
  }

  // Numbers the tracks of all sources; a track's own number counts in one extraction.
  numberTracks() {
    const several = new Set(this.faces.map((f) => f.source)).size > 1;
    const numbers = new Map();
    this.trackNames = [];
    this.trackOf = this.faces.map(({track, source}) => {
      const key = `${track} ${source}`;
      if (!numbers.has(key)) {
        numbers.set(key, numbers.size);
        this.trackNames.push(`Track ${track}${several ? ` of ${source}` : ''}`);
      }
      return numbers.get(key);
    });
  }

  // A new state: sorts the faces into `members`, row -> {faces, kept, doubt}.
  update(state) {
    this.state = state;
    this.members = new Map();
    for (let i = 0; i < this.faces.length; ++i) {
      const row = this.rowOf(i);
      if (!this.members.has(row)) this.members.set(row, {faces: [], kept: 0, doubt: 0});
      const entry = this.members.get(row);
      entry.faces.push(i);
      if (this.dropped(i)) continue;
      ++entry.kept;
      entry.doubt += this.fact(i, DOUBT);
    }
  }

  fact(face, which) { return this.state.faces[face][which]; }
  dropped(face) { return this.fact(face, DROPPED) === 1; }
  person(number) { return this.state.people.find((p) => p.number === number); }
  rowOf(face) {
    const person = this.fact(face, PERSON);
    return person >= 0 ? person : this.faces[face].refused ? REFUSED : -2 - this.trackOf[face];
  }
  rowFaces(row) { return this.members.get(row)?.faces ?? []; }
  label(row) {
    if (row === REFUSED) return 'Refused by extraction';
    if (row < REFUSED) return this.trackNames[-2 - row];
    const name = this.person(row)?.name;
    return name ? `${name} (person ${row})` : `Person ${row}`;
  }

  // Ranks faces and rows anew. Between two calls nothing changes its place by itself.
  rank(order, reverse) {
    const [, value] = ORDERS[order];
    const values = this.faces.map((_, i) => value(this, i))
        .map((v) => reverse && v !== Infinity ? -v : v);  // not measured: last
    const sorted = this.faces.map((_, i) => i).sort(
        (a, b) => this.dropped(a) - this.dropped(b) || values[a] - values[b] || a - b);
    this.ranks = [];
    sorted.forEach((face, at) => { this.ranks[face] = at; });
    // Rows by the mean doubt of their faces; few faces deserve a look too.
    const doubt = ({kept, doubt: sum}) => kept ? (sum + 1) / kept : -1;
    const rows = [...this.members].sort(([, a], [, b]) => doubt(b) - doubt(a));
    this.rowRanks = new Map(rows.map(([row], at) => [row, at]));
  }

  passes(i) {
    const {shown, person, track, mark} = this.filter, face = this.faces[i];
    if (shown === 'kept' && this.dropped(i) || shown === 'dropped' && !this.dropped(i))
      return false;
    if (shown === 'refused' && !face.refused) return false;
    if (person !== '' && this.rowOf(i) !== +person) return false;
    if (track !== '' && face.track !== +track) return false;
    return mark === '' || face.marks.includes(mark);
  }

  // Fills `rows`, row -> its faces that pass the filter, both in order. A row without a rank
  // is new: it goes behind the row `origin`.
  filterRows(origin) {
    const rows = new Map();
    for (let i = 0; i < this.faces.length; ++i) {
      if (!this.passes(i)) continue;
      const row = this.rowOf(i);
      if (!rows.has(row)) rows.set(row, []);
      rows.get(row).push(i);
    }
    for (const row of rows.keys())
      if (!this.rowRanks.has(row))
        this.rowRanks.set(row, (this.rowRanks.get(origin) ?? 0) + 0.5 - 1 / (Math.abs(row) + 3));
    const order = [...rows.keys()].sort((a, b) => this.rowRanks.get(a) - this.rowRanks.get(b));
    this.rows = new Map(order.map(
        (row) => [row, rows.get(row).sort((a, b) => this.ranks[a] - this.ranks[b])]));
    for (const face of this.selection) if (!this.passes(face)) this.selection.delete(face);
  }

  // How often each mark occurs among faces.
  marks(faces) {
    const count = new Map();
    for (const face of faces)
      for (const mark of this.faces[face].marks) count.set(mark, (count.get(mark) ?? 0) + 1);
    return [...count].sort((a, b) => b[1] - a[1]);
  }
}
