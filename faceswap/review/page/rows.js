// A list of 5,000 tiles of which only the lines in sight are elements of the page. A line
// is a row's head or a few tiles side by side; its height is known without layout, so
// the whole list's height is too.
const GAP = 6, MARGIN = 700;  // pixels; MARGIN: kept ready above and below

export class Rows {
  // makeHead(row) returns a list of elements, makeTile(face) one, and paint(tile, face)
  // gives a tile the face's present look.
  constructor(list, space, makeHead, makeTile, paint) {
    Object.assign(this, {list, space, makeHead, makeTile, paint});
    this.lines = [];         // {top, height, row, faces: null or [face]}
    this.shown = new Map();  // index of the line -> its element
    this.lineOf = new Map(); // face -> index of its line
    list.addEventListener('scroll', () => this.render(), {passive: true});
  }

  // Sizes in pixels, as the style sheet says for this window.
  measure() {
    const style = getComputedStyle(document.documentElement);
    this.tile = parseInt(style.getPropertyValue('--tile'), 10);
    this.head = parseInt(style.getPropertyValue('--head'), 10);
  }

  columns() {
    this.measure();
    return Math.max(1, Math.floor((this.space.clientWidth + GAP) / (this.tile + GAP)));
  }

  // groups: [{row, faces: in order}] of a face set. Lines that stay keep their elements.
  set(groups, owner) {
    const columns = this.columns(), {tile, head} = this;
    const key = (line) => `${line.top} ${line.faces ? line.faces.join() : `head ${line.row}`}`;
    const old = new Map();
    for (const [index, element] of this.shown)
      if (owner === this.owner) old.set(key(this.lines[index]), element);
      else element.remove();
    this.owner = owner;
    this.lines = [];
    this.lineOf.clear();
    this.order = [];
    let top = 0;
    for (const {row, faces} of groups) {
      this.lines.push({top, height: head, row, faces: null});
      top += head;
      for (let i = 0; i < faces.length; i += columns) {
        const line = faces.slice(i, i + columns);
        for (const face of line) {
          this.lineOf.set(face, this.lines.length);
          this.order.push(face);
        }
        this.lines.push({top, height: tile + GAP, row, faces: line});
        top += tile + GAP;
      }
    }
    this.space.style.height = `${top + 2 * GAP}px`;
    this.shown.clear();
    this.lines.forEach((line, index) => {
      const element = old.get(key(line));
      if (!element) return;
      this.shown.set(index, element);
      old.delete(key(line));
    });
    for (const element of old.values()) element.remove();
    this.refresh();
    this.render();
  }

  // The first line that ends below y.
  lineAt(y) {
    let low = 0, high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle].top + this.lines[middle].height > y) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  render() {
    const top = this.list.scrollTop;
    const from = this.lineAt(top - MARGIN);
    const to = this.lineAt(top + this.list.clientHeight + MARGIN);
    for (const [index, element] of this.shown)
      if (index < from || index > to) {
        element.remove();
        this.shown.delete(index);
      }
    for (let i = from; i <= to && i < this.lines.length; ++i)
      if (!this.shown.has(i)) this.show(i);
  }

  show(index) {
    const line = this.lines[index];
    const element = document.createElement('div');
    element.className = line.faces ? 'row tiles' : 'row head';
    element.setAttribute('role', line.faces ? 'presentation' : 'group');
    element.style.top = `${line.top}px`;
    if (line.faces) {
      element.append(...line.faces.map(this.makeTile));
      line.faces.forEach((face, i) => this.paint(element.children[i], face));
    } else {
      element.append(...this.makeHead(line.row));
    }
    this.space.append(element);
    this.shown.set(index, element);
  }

  // The same lines after something about them changed. Tiles stay, so no picture flickers.
  refresh() {
    for (const [index, element] of this.shown) {
      const {row, faces} = this.lines[index];
      if (faces) faces.forEach((face, i) => this.paint(element.children[i], face));
      else element.replaceChildren(...this.makeHead(row));
    }
  }

  reveal(face) {
    const line = this.lines[this.lineOf.get(face)];
    if (!line) return;
    const {scrollTop, clientHeight} = this.list;
    if (line.top < scrollTop + this.head) this.list.scrollTop = line.top - this.head;
    else if (line.top + line.height > scrollTop + clientHeight)
      this.list.scrollTop = line.top + line.height - clientHeight;
    this.render();
  }
  revealRow(row) {
    const line = this.lines.find((l) => l.row === row);
    if (line) this.list.scrollTop = line.top;
    this.render();
  }

  // The face next to `face`: dx along the order, dy lines up or down in the same column.
  neighbour(face, dx, dy) {
    if (dx) {
      const at = this.order.indexOf(face) + dx;
      return this.order[Math.min(Math.max(at, 0), this.order.length - 1)];
    }
    let index = this.lineOf.get(face);
    if (index === undefined) return this.order[0];
    const column = this.lines[index].faces.indexOf(face);
    for (index += dy; this.lines[index]; index += dy)
      if (this.lines[index].faces) {
        const faces = this.lines[index].faces;
        return faces[Math.min(column, faces.length - 1)];
      }
    return face;
  }

  // The faces from one to the other, both included, as they stand on the page.
  between(a, b) {
    const at = [this.order.indexOf(a), this.order.indexOf(b)].sort((x, y) => x - y);
    return at[0] < 0 ? [b] : this.order.slice(at[0], at[1] + 1);
  }
}
