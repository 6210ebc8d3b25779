// The large view of one face: its picture, landmarks and mask, and eyes that can be
// dragged. Coordinates are pixels of the frame; `crop` maps them to the picture's.
const $ = (id) => document.getElementById(id);

// The outline of the face among FaceMesh's 468 points, in order.
const OUTLINE = [
  10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148,
  176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109];
const CANONICAL_SIDE = 256, CANONICAL_EYES = [88, 100, 168, 100];  // as in faces/face.h
const GRAB = 12, STEP = 0.25, BIG_STEP = 2;  // pixels: of the screen; of the picture
const PAUSE = 600;                           // ms without a key, then moved eyes are sent
const SHADE = [200, 64, 46, 0.45];           // red, green, blue, opacity of what is masked out

// Similarities [a, b, tx, ty]: x' = a*x - b*y + tx, y' = b*x + a*y + ty.
const map = ([a, b, tx, ty], x, y) => [a * x - b * y + tx, b * x + a * y + ty];
function inverse([a, b, tx, ty]) {
  const n = a * a + b * b;
  return [a / n, -b / n, -(a * tx + b * ty) / n, (b * tx - a * ty) / n];
}
function then([a, b, tx, ty], next) {
  const [x, y] = map(next, tx, ty);
  return [next[0] * a - next[1] * b, next[1] * a + next[0] * b, x, y];
}
// Scales areas, not centres: pixel centres lie at whole coordinates.
const scaling = (s) => [s, 0, (s - 1) / 2, (s - 1) / 2];
// The one that takes two eyes to two others.
function fromEyes([x0, y0, x1, y1], [u0, v0, u1, v1]) {
  const dx = x1 - x0, dy = y1 - y0, n = dx * dx + dy * dy;
  const a = ((u1 - u0) * dx + (v1 - v0) * dy) / n, b = ((v1 - v0) * dx - (u1 - u0) * dy) / n;
  return [a, b, u0 - a * x0 + b * y0, v0 - b * x0 - a * y0];
}

// A mask as a red veil over all that is not the face.
function shadeOf(mask) {
  const canvas = new OffscreenCanvas(mask.naturalWidth, mask.naturalHeight);
  const context = canvas.getContext('2d');
  context.drawImage(mask, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height), {data} = pixels;
  for (let i = 0; i < data.length; i += 4) {
    data[i + 3] = (255 - data[i]) * SHADE[3];
    data.set(SHADE.slice(0, 3), i);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

export class Large {
  // page: what the view asks of the rest (see review.js)
  constructor(page) {
    this.page = page;
    this.dialog = $('large');
    this.picture = new Image();
    this.picture.addEventListener('load', () => this.draw());
    this.mask = new Image();  // white is the face; the picture's square
    this.mask.addEventListener('load', () => { this.shade = shadeOf(this.mask); this.draw(); });
    this.dialog.addEventListener('keydown', (event) => this.key(event));
    this.dialog.addEventListener('close', () => {
      this.send();
      page.closed(this.face);
    });
    $('close').addEventListener('click', () => this.dialog.close());
    for (const id of ['show-landmarks', 'show-mask'])
      $(id).addEventListener('change', () => this.draw());
    [$('eye0'), $('eye1')].forEach((handle, eye) => {
      this.drag(handle, () => eye);
      handle.addEventListener('keydown', (event) => this.nudge(event, eye));
    });
    this.drag($('picture'), (event) => this.near(event) ? 'all' : null);
    addEventListener('resize', () => { if (this.open) this.draw(); });
  }

  get open() { return this.dialog.open; }

  async show(face) {
    if (face === undefined) return;
    this.send();
    this.face = face;
    this.picture.src = `/picture/${this.page.url(face)}?run=${this.page.run()}`;
    this.shade = null;  // until the mask has come; some files have none
    this.mask.src = `/mask/${this.page.url(face)}?run=${this.page.run()}`;
    if (!this.open) this.dialog.showModal();
    await this.reload();
  }

  async reload() {
    const face = this.face;
    const detail = await this.page.request(`/api/face/${this.page.url(face)}`);
    if (face !== this.face) return;
    this.detail = detail;
    this.eyes = [...detail.eyes];
    this.moved = false;
    this.tell();
    this.draw();
  }

  tell() {
    const about = this.page.about(this.face);
    $('large-name').textContent = about.name;
    $('large-state').textContent =
        about.dropped ? about.reason : 'kept';
    $('large-state').className = about.dropped ? 'drop' : 'keep';
    const facts = {
      row: about.row, track: about.track, marks: about.marks.join(', ') || 'none',
      source: `${about.source}, frame ${about.frame}`, time: `${about.seconds} s`,
      pixels: `${about.pixels} along the crop`, sharpness: about.sharpness};
    if (about.distance >= 0) facts['from person'] = `${about.distance} (same within 0.6)`;
    if (about.refused) facts.refused = about.refused;
    for (const name of ['presence', 'yaw', 'pitch', 'roll', 'eyes_open', 'mouth_open', 'brightness',
                        'contrast', 'visible', 'covered'])
      if (about[name] !== undefined) facts[name.replace('_', ' ')] = about[name];
    $('facts').replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [
      Object.assign(document.createElement('dt'), {textContent: name}),
      Object.assign(document.createElement('dd'), {textContent: value})]));
    $('show-landmarks').disabled = !this.detail.landmarks.length;
  }

  // Pixels of the screen per pixel of the picture.
  get zoom() { return this.side / this.detail.size; }
  toScreen(x, y) {  // from the frame; pixel centres lie at whole coordinates
    const [u, v] = map(this.detail.crop, x, y);
    return [(u + 0.5) * this.zoom, (v + 0.5) * this.zoom];
  }

  draw() {
    if (!this.detail || !this.picture.complete || !this.picture.naturalWidth) return;
    const ratio = devicePixelRatio;
    this.side = Math.floor(Math.min(innerHeight * 0.9 - 40, innerWidth * 0.94 - 340));
    const canvas = $('picture');
    canvas.width = canvas.height = this.side * ratio;
    canvas.style.width = canvas.style.height = `${this.side}px`;
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.picture, 0, 0, this.side, this.side);
    const {landmarks, eyes} = this.detail;
    const along = fromEyes(eyes, this.eyes);  // landmarks follow the eyes, as on the server
    const point = (i) => this.toScreen(...map(along, landmarks[2 * i], landmarks[2 * i + 1]));
    if ($('show-mask').checked) this.drawMask(context, landmarks.length ? point : null);
    if (landmarks.length && $('show-landmarks').checked) {
      context.fillStyle = '#8fe3c0';
      for (let i = 0; i < landmarks.length / 2; ++i) {
        const [x, y] = point(i);
        context.fillRect(x - 1, y - 1, 2, 2);
      }
    }
    [0, 1].forEach((eye) => {
      const [x, y] = this.toScreen(this.eyes[2 * eye], this.eyes[2 * eye + 1]);
      $(`eye${eye}`).style.left = `${x}px`;
      $(`eye${eye}`).style.top = `${y}px`;
    });
    this.drawTrained();
  }

  // The mask of the face's file, or else the outline of its mesh.
  drawMask(context, point) {
    if (this.shade) return context.drawImage(this.shade, 0, 0, this.side, this.side);
    if (!point) return undefined;
    context.beginPath();
    context.rect(0, 0, this.side, this.side);
    OUTLINE.forEach((i, at) => context[at ? 'lineTo' : 'moveTo'](...point(i)));
    context.closePath();
    context.fillStyle = `rgba(${SHADE.join()})`;
    return context.fill('evenodd');
  }

  // The picture as the eyes place it.
  drawTrained() {
    const canvas = $('trained'), context = canvas.getContext('2d');
    const {crop, aligned, size} = this.detail;
    const canonical = this.moved ? fromEyes(this.eyes, CANONICAL_EYES) :
                                   then(aligned, scaling(CANONICAL_SIDE / size));
    const [a, b, tx, ty] =
        then(then(inverse(crop), canonical), scaling(canvas.width / CANONICAL_SIDE));
    const [x, y] = map([a, b, tx, ty], -0.5, -0.5);  // canvas coordinates are of corners
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(a, b, -b, a, x + 0.5, y + 0.5);
    context.drawImage(this.picture, 0, 0);
  }

  // Is there a landmark under the pointer?
  near(event) {
    const {landmarks} = this.detail;
    for (let i = 0; i < landmarks.length; i += 2) {
      const [x, y] = this.toScreen(landmarks[i], landmarks[i + 1]);
      if (Math.hypot(x - event.offsetX, y - event.offsetY) < GRAB) return true;
    }
    return false;
  }

  // Moves one eye, or all, by pixels of the picture.
  move(what, u, v) {
    const back = inverse(this.detail.crop);
    const dx = back[0] * u - back[1] * v, dy = back[1] * u + back[0] * v;
    for (const eye of what === 'all' ? [0, 1] : [what]) {
      this.eyes[2 * eye] += dx;
      this.eyes[2 * eye + 1] += dy;
    }
    this.moved = true;
    this.draw();
  }

  drag(element, what) {
    let held = null, last = null;
    element.addEventListener('pointerdown', (event) => {
      held = what(event);
      if (held === null) return;
      last = [event.clientX, event.clientY];
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener('pointermove', (event) => {
      if (held === null) return;
      this.move(held, (event.clientX - last[0]) / this.zoom, (event.clientY - last[1]) / this.zoom);
      last = [event.clientX, event.clientY];
    });
    for (const end of ['pointerup', 'pointercancel'])
      element.addEventListener(end, () => {
        if (held !== null) this.send();
        held = null;
      });
  }

  nudge(event, eye) {
    const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const size = event.shiftKey ? BIG_STEP : STEP;
    this.move(eye, step[0] * size, step[1] * size);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), PAUSE);
  }

  // Sends moved eyes; the answer reloads the view.
  send() {
    clearTimeout(this.timer);
    if (!this.moved) return;
    this.moved = false;
    this.page.align(this.face, this.eyes);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const flip = (id) => () => { if (!$(id).disabled) $(id).click(); };
    const actions = {
      ArrowLeft: () => this.show(this.page.next(this.face, -1)),
      ArrowRight: () => this.show(this.page.next(this.face, 1)),
      k: () => this.page.decide('keep', this.face), d: () => this.page.decide('drop', this.face),
      u: this.page.undo, r: this.page.redo, l: flip('show-landmarks'), x: flip('show-mask')};
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
