// The grid: absolute lines inside a tall spacer, of which only those in sight exist. Elements are used again, so
// their number is that of the tiles on the screen, whatever the number of frames.

import { byId, clock, count, icon, make, numbered, place, verdict } from "./words.js";

const GAP = 10; // pixels between tiles, and the least around them
const CAPTION = 42;
const HEADER = 38; // above the first line of a group
const TALLEST = 12_000_000; // browsers lay out no taller boxes; beyond it, scrolling is scaled
const AHEAD = 0.5; // screens made above and below what is seen
const FAST = 0.6; // screens a frame, beyond which pictures wait until scrolling rests
const REST = 90; // milliseconds
const LONG_PRESS = 450;

/** Lines of tiles, each with the place of its first frame and its distance from the top. */
class Lines {
  constructor(total, heads, columns, height) {
    const starts = [];
    const tops = [];
    this.heads = new Map();
    let top = 0;
    const groups = heads?.length ? heads : [0];
    for (let group = 0; group < groups.length && total; group++) {
      const end = group + 1 < groups.length ? groups[group + 1] : total;
      if (heads) this.heads.set(starts.length, end - groups[group]);
      for (let first = groups[group]; first < end; first += columns) {
        starts.push(first);
        tops.push(top);
        top += height + (heads && first === groups[group] ? HEADER : 0);
      }
    }
    this.count = starts.length;
    starts.push(total);
    tops.push(top);
    this.starts = Uint32Array.from(starts);
    this.tops = Float64Array.from(tops);
    this.height = top;
  }

  /** The last line that begins at or before a place. */
  of(place) {
    return Math.max(0, before(this.starts, place, this.count));
  }

  /** The last line whose top is at or above a distance from the top. */
  at(distance) {
    return Math.max(0, before(this.tops, distance, this.count));
  }
}

/** Index of the last of the first `size` ascending values that is at most `limit`; -1 where none is. */
function before(values, limit, size) {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class Grid {
  /** @param told what it tells: `open(row)`, `moved()`, `keepThis(row)`. */
  constructor(frames, told) {
    this.frames = frames;
    this.told = told;
    this.box = byId("grid");
    this.spacer = byId("spacer");
    this.rows = new Uint32Array();
    this.heads = null;
    this.sources = [];
    this.size = 200;
    this.aspect = 4 / 3;
    this.active = 0;
    this.anchor = 0;
    this.selected = new Set();
    this.several = false; // whether a tap selects, for hands without a keyboard
    this.shown = new Map(); // line → its element
    this.spare = [];
    this.lines = new Lines(0, null, 1, 1);
    this.last = 0;
    this.listen();
  }

  listen() {
    this.box.addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(this.box);
    this.spacer.addEventListener("click", (event) => this.clicked(event));
    this.spacer.addEventListener("dblclick", (event) => {
      const tile = event.target.closest(".tile");
      if (tile && !event.target.closest("button")) this.told.open(tile.row);
    });
    this.spacer.addEventListener("pointerdown", (event) => this.pressed(event));
    for (const name of ["pointerup", "pointercancel", "pointermove"]) {
      this.spacer.addEventListener(name, (event) => {
        if (name !== "pointermove" || Math.hypot(event.movementX, event.movementY) > 4) clearTimeout(this.press);
      });
    }
    this.spacer.addEventListener("contextmenu", (event) => {
      if (this.touching) event.preventDefault();
    });
  }

  /** The films' names have come: tiles that are there already say them, too. */
  name(sources) {
    if (this.sources.length) return;
    this.sources = sources;
    for (const element of this.shown.values()) for (const tile of element.tiles) tile.frame = undefined;
    this.refresh();
  }

  // What is shown

  /** Show these frames; where `stay`, the active one stays the active one if it is among them. */
  show(rows, heads, stay) {
    const was = stay ? this.rows[this.active] : undefined;
    this.rows = rows;
    this.heads = heads;
    this.spacer.classList.toggle("by-group", heads !== null);
    const found = was === undefined ? -1 : rows.indexOf(was);
    this.active = Math.max(0, found);
    this.anchor = this.active;
    this.selected.clear();
    this.layout();
    if (found > 0) this.reveal();
    else this.box.scrollTop = 0;
    this.told.moved();
  }

  layout() {
    const width = this.spacer.clientWidth;
    this.view = this.box.clientHeight;
    if (!width || !this.view) return;
    const keep = this.lines.count ? this.lines.starts[this.lines.at(this.offset())] : 0;
    this.columns = Math.max(1, Math.round((width + GAP) / (this.size + GAP)));
    const tile = Math.floor((width - GAP * (this.columns - 1)) / this.columns);
    const height = Math.round(tile / this.aspect);
    const asBefore = this.made === `${this.columns} ${tile} ${height}`;
    this.made = `${this.columns} ${tile} ${height}`;
    this.lines = new Lines(this.rows.length, this.heads, this.columns, height + CAPTION + GAP);
    this.spacer.style.setProperty("--tile", `${tile}px`);
    this.spacer.style.setProperty("--picture", `${height}px`);
    this.tall = Math.min(this.lines.height, TALLEST);
    this.spacer.style.height = `${this.tall}px`;
    this.hidden = this.box.scrollHeight - this.view;
    this.box.setAttribute("aria-rowcount", this.lines.count);
    this.box.setAttribute("aria-colcount", this.columns);
    if (!asBefore) {
      this.clear();
      this.scrollTo(this.lines.tops[this.lines.of(keep)]);
    } else {
      this.recycle((line) => line < this.lines.count);
      for (const [line, element] of this.shown) this.fill(element, line);
    }
    this.render();
  }

  clear() {
    for (const element of this.shown.values()) element.remove();
    this.shown.clear();
    this.spare = [];
  }

  /** How much faster the lines go than the scroll bar; 1 unless they are taller than a browser can lay out. */
  get pace() {
    return this.hidden > 0 ? (this.lines.height - this.tall + this.hidden) / this.hidden : 1;
  }

  offset() {
    return this.box.scrollTop * this.pace;
  }

  scrollTo(distance) {
    this.box.scrollTop = distance / this.pace;
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.render();
    });
  }

  render() {
    if (!this.columns) return;
    const offset = this.offset();
    const fast = Math.abs(offset - this.last) > this.view * FAST;
    this.last = offset;
    const first = this.lines.at(offset - this.view * AHEAD);
    const last = Math.min(this.lines.count - 1, this.lines.at(offset + this.view * (1 + AHEAD)));
    this.recycle((line) => line >= first && line <= last);
    for (let line = first; line <= last; line++) this.line(line, offset);
    this.hideSpare();
    this.describeActive();
    clearTimeout(this.resting);
    if (!fast) this.fetch();
    else this.resting = setTimeout(() => this.fetch(), REST);
  }

  recycle(stays) {
    for (const [line, element] of this.shown) {
      if (stays(line)) continue;
      this.shown.delete(line);
      this.spare.push(element);
    }
  }

  /** Lines that nothing needs now; most are used again before this, and stay as they are until then. */
  hideSpare() {
    for (const element of this.spare) {
      if (element.hidden) continue;
      element.hidden = true;
      for (const tile of element.tiles) tile.removeAttribute("id");
    }
  }

  line(line, offset) {
    let element = this.shown.get(line);
    if (!element) {
      element = this.spare.pop() ?? this.makeLine();
      element.hidden = false;
      this.shown.set(line, element);
      this.fill(element, line);
    }
    const top = this.lines.tops[line] - offset + this.box.scrollTop;
    if (element.top !== top) element.style.transform = `translateY(${Math.round(top)}px)`;
    element.top = top;
  }

  fill(element, line) {
    const [first, end] = [this.lines.starts[line], this.lines.starts[line + 1]];
    const size = this.lines.heads.get(line);
    element.setAttribute("aria-rowindex", line + 1);
    element.classList.toggle("head", size !== undefined);
    element.header.hidden = size === undefined;
    if (size !== undefined) this.fillHeader(element.header, first, size);
    element.tiles.forEach((tile, column) => {
      tile.hidden = first + column >= end;
      if (tile.hidden) tile.removeAttribute("id");
      else this.fillTile(tile, first + column);
    });
  }

  fillHeader(header, first, size) {
    const frame = this.frames.get(this.rows[first]);
    if (!frame) header.firstChild.textContent = count(size, "frame");
    else if (frame.group === null) header.firstChild.textContent = `${count(size, "frame")} without near-duplicates`;
    else if (frame.members > size) header.firstChild.textContent = `${size} of ${frame.members} near-duplicates`;
    else header.firstChild.textContent = `${size} near-duplicates`;
  }

  fillTile(tile, position) {
    const row = this.rows[position];
    tile.position = position;
    const active = position === this.active;
    const selected = this.selected.size ? this.selected.has(row) : active;
    tile.classList.toggle("active", active);
    tile.classList.toggle("selected", this.selected.has(row));
    tile.setAttribute("aria-selected", String(selected));
    tile.id = `tile-${position}`;
    const frame = this.frames.get(row);
    if (tile.row !== row) {
      tile.row = row;
      tile.image.removeAttribute("src");
      tile.classList.remove("pictured", "missing");
      if (!frame) this.blank(tile);
    }
    if (!frame) return;
    const number = this.numberOf(position, frame);
    if (tile.frame !== frame || tile.count !== number) this.describe(tile, frame, number);
    tile.frame = frame;
    tile.count = number;
  }

  blank(tile) {
    if (tile.frame === null) return;
    tile.frame = null;
    tile.classList.remove("out", "kept", "hand", "grouped");
    tile.film.textContent = "";
    tile.number.textContent = "";
    tile.only.hidden = true;
    tile.heading.textContent = "";
    tile.word.textContent = "";
    tile.setAttribute("aria-label", "loading");
  }

  describe(tile, frame, number) {
    const said = verdict(frame);
    tile.classList.toggle("out", !frame.in);
    tile.classList.toggle("hand", frame.person !== null);
    tile.classList.toggle("kept", frame.in && frame.person === true);
    tile.classList.toggle("saving", Boolean(frame.saving));
    tile.classList.toggle("grouped", frame.group !== null);
    tile.heading.textContent = place(frame);
    tile.film.textContent = this.sources.length > 1 ? (this.sources[frame.source]?.name ?? "") : numbered(frame);
    tile.word.textContent = said ?? (frame.pairs ? count(frame.pairs, "crop") : "no crops cut");
    tile.word.title = tile.word.textContent;
    tile.members.textContent = frame.group === null ? "" : frame.members;
    tile.number.textContent = number ?? "";
    tile.only.hidden = number === null;
    tile.setAttribute("aria-label", this.label(frame, said));
  }

  label(frame, said) {
    const film = this.sources[frame.source]?.name;
    const group = frame.group === null ? null : `${frame.row === frame.group ? "stands for" : "one of"} ${frame.members} near-duplicates`;
    return [film, place(frame), numbered(frame), said ?? "in", group].filter(Boolean).join(", ");
  }

  /** The key, 1 to 9, that picks a frame of a group that is shown as one; null where there is none. */
  numberOf(position, frame) {
    if (!this.heads || frame.group === null) return null;
    const number = position - this.heads[before(this.heads, position, this.heads.length)] + 1;
    return number <= 9 ? number : "";
  }

  /** The row that a key from 1 to 9 picks in the active frame's group, or null. */
  numbered(number) {
    if (!this.heads) return null;
    const group = before(this.heads, this.active, this.heads.length);
    const end = this.heads[group + 1] ?? this.rows.length;
    const position = this.heads[group] + number - 1;
    const frame = position < end ? this.frames.get(this.rows[position]) : null;
    return frame && frame.group !== null ? frame.row : null;
  }

  /** Ask for what stays in sight: words first, then pictures. */
  fetch() {
    const wanted = [];
    for (const element of this.shown.values()) {
      for (const tile of element.tiles) {
        if (tile.hidden) continue;
        wanted.push(tile.row);
        if (!tile.image.hasAttribute("src")) tile.image.src = `thumb/${tile.row}`;
      }
    }
    this.frames.want(wanted);
  }

  /** Something is known anew: say it on the tiles in sight. */
  refresh() {
    for (const [line, element] of this.shown) this.fill(element, line);
    this.frames.want([...this.shown.values()].flatMap((e) => e.tiles.filter((t) => !t.hidden).map((t) => t.row)));
  }

  describeActive() {
    const line = this.lines.of(this.active);
    if (this.shown.has(line) && this.rows.length) this.box.setAttribute("aria-activedescendant", `tile-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  makeLine() {
    const element = make("div", { class: "line", role: "row" });
    element.header = make("div", { class: "group-header", "aria-hidden": "true" }, make("span"));
    element.tiles = Array.from({ length: this.columns }, (_, column) => makeTile(column));
    element.append(element.header, ...element.tiles);
    this.spacer.append(element);
    return element;
  }

  // Where one is, and what is selected

  /** Rows that an action is about: those selected, or the active one. */
  chosen() {
    if (this.selected.size) return [...this.selected];
    return this.rows.length ? [this.rows[this.active]] : [];
  }

  current() {
    return this.rows.length ? this.rows[this.active] : null;
  }

  to(position, extend = false) {
    if (!this.rows.length) return;
    this.active = Math.min(this.rows.length - 1, Math.max(0, position));
    if (extend) this.range();
    else {
      this.anchor = this.active;
      this.selected.clear();
    }
    this.reveal();
    this.changedSelection();
  }

  /** On to the first frame of the next group, where frames are shown by group. */
  toNextGroup() {
    const next = this.heads?.[before(this.heads, this.active, this.heads.length) + 1];
    if (next !== undefined) this.to(next);
  }

  toRow(row) {
    const position = this.rows.indexOf(row);
    if (position >= 0) this.to(position);
    return position >= 0;
  }

  range() {
    const [low, high] = [Math.min(this.anchor, this.active), Math.max(this.anchor, this.active)];
    this.selected = new Set(this.rows.subarray(low, high + 1));
  }

  selectAll() {
    this.selected = new Set(this.rows);
    this.changedSelection();
  }

  selectNone() {
    this.selected.clear();
    this.anchor = this.active;
    this.changedSelection();
  }

  toggle(position) {
    if (!this.selected.size && !this.several && position !== this.active) this.selected.add(this.rows[this.active]);
    const row = this.rows[position];
    if (!this.selected.delete(row)) this.selected.add(row);
    this.active = this.anchor = position;
    this.changedSelection();
  }

  changedSelection() {
    for (const element of this.shown.values()) {
      for (const tile of element.tiles) if (!tile.hidden) this.fillTile(tile, tile.position);
    }
    this.describeActive();
    this.told.moved();
  }

  /** Scroll so that the active tile is in sight. */
  reveal() {
    if (!this.view) return;
    const line = this.lines.of(this.active);
    const [top, bottom] = [this.lines.tops[line], this.lines.tops[line + 1]];
    const offset = this.offset();
    if (top < offset) this.scrollTo(top);
    else if (bottom > offset + this.view - 2 * GAP) this.scrollTo(bottom - this.view + 2 * GAP);
    this.render();
  }

  /** Where an arrow or a page key leads from the active tile. */
  after(key) {
    const line = this.lines.of(this.active);
    const column = this.active - this.lines.starts[line];
    const page = Math.max(1, Math.floor(this.view / (this.lines.tops[1] || this.view)));
    const lines = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page }[key];
    if (key === "ArrowLeft") return this.active - 1;
    if (key === "ArrowRight") return this.active + 1;
    if (key === "Home") return 0;
    if (key === "End") return this.rows.length - 1;
    const goal = Math.min(this.lines.count - 1, Math.max(0, line + lines));
    if (goal === line) return this.active;
    return Math.min(this.lines.starts[goal] + column, this.lines.starts[goal + 1] - 1);
  }

  clicked(event) {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    this.box.focus({ preventScroll: true });
    if (event.target.closest(".only")) {
      this.to(tile.position);
      this.told.keepThis(tile.row);
    } else if (this.pressedLong) this.pressedLong = false;
    else if (event.shiftKey) this.to(tile.position, true);
    else if (event.ctrlKey || event.metaKey || this.several) this.toggle(tile.position);
    else if (this.touching && tile.position === this.active && !this.selected.size) this.told.open(tile.row);
    else this.to(tile.position);
  }

  pressed(event) {
    this.touching = event.pointerType === "touch";
    this.pressedLong = false;
    const tile = event.target.closest(".tile");
    if (!this.touching || !tile) return;
    this.press = setTimeout(() => {
      this.pressedLong = true;
      this.several = true;
      this.toggle(tile.position);
    }, LONG_PRESS);
  }
}

function makeTile(column) {
  const tile = make("div", { class: "tile", role: "gridcell", "aria-colindex": column + 1 });
  tile.image = make("img", { alt: "", decoding: "async", draggable: "false", fetchpriority: "low" });
  tile.image.addEventListener("load", () => tile.classList.add("pictured"));
  tile.image.addEventListener("error", () => tile.classList.add("missing"));
  tile.number = make("kbd", { class: "key" });
  tile.members = make("span");
  tile.only = make("button", { type: "button", class: "only", tabindex: "-1" }, "keep this one");
  tile.heading = make("span", { class: "title" });
  tile.film = make("span", { class: "film" });
  tile.word = make("span", { class: "word" });
  const badge = make("span", { class: "badge" }, icon("cross"), icon("check"));
  const picture = make("div", { class: "picture" }, tile.image, make("span", { class: "no-picture" }, "no picture"));
  picture.append(badge, make("span", { class: "members" }, icon("stack"), tile.members), tile.number, tile.only);
  const caption = make("div", { class: "caption" }, make("div", {}, tile.heading, tile.film), tile.word);
  tile.append(picture, caption);
  tile.frame = undefined; // what it says: nothing yet
  return tile;
}
