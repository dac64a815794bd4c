// The large view: one frame with its crops at their places, and all that is known of it.

import { get, Gone } from "./server.js";
import { breakable, byId, clock, count, figure, icon, make, NUMBER, numbered, place, verdict } from "./words.js";

const REMEMBERED = 24; // frames whose particulars stay at hand

export class Large {
  /** @param told `step(by)`, `close()`, `open(row)`, `keepThis(row)`, `decideCrop(row, index, keep)`, `fail(text)`. */
  constructor(frames, told) {
    this.frames = frames;
    this.told = told;
    this.box = byId("large");
    this.row = null;
    this.smoothed = false;
    this.boxes = true;
    this.known = new Map();
    byId("large-close").addEventListener("click", () => told.close());
    byId("previous").addEventListener("click", () => told.step(-1));
    byId("next").addEventListener("click", () => told.step(1));
    byId("smoothed").addEventListener("click", () => this.toggleSmoothed());
    byId("boxes").addEventListener("click", () => this.toggleBoxes());
  }

  get isOpen() {
    return this.row !== null;
  }

  describe(dataset) {
    this.dataset = dataset;
    byId("smoothed").hidden = !dataset.smoothed;
  }

  /** Show a frame; `where` says which of how many. */
  show(row, where, next = null) {
    if (this.row === null) this.box.hidden = false;
    const another = this.row !== row;
    this.row = row;
    byId("large-where").textContent = where;
    if (another) {
      byId("large-scroll").scrollTop = 0;
      byId("crops").replaceChildren();
      byId("facts").replaceChildren();
      byId("group").replaceChildren();
      this.painted = null;
    }
    const frame = this.frames.get(row);
    if (frame) this.head(frame);
    if (this.known.has(row)) this.fill(this.known.get(row));
    this.load(row, next);
  }

  close() {
    this.row = null;
    this.painted = null;
    this.box.hidden = true;
  }

  /** Something was decided: what was known of these frames, or of all, is to be asked for anew. */
  forget(rows = null) {
    if (rows === null) this.known.clear();
    else rows.forEach((row) => this.known.delete(row));
    if (this.isOpen && (rows === null || rows.includes(this.row))) this.load(this.row, null);
  }

  /** What the list knows of the frame has changed. */
  refresh() {
    const frame = this.isOpen ? this.frames.get(this.row) : null;
    if (frame) this.head(frame);
    for (const tile of byId("group").querySelectorAll("figure")) {
      const member = this.frames.get(Number(tile.dataset.row));
      if (member) tile.classList.toggle("out", !member.in);
    }
  }

  async load(row, next) {
    this.asking?.abort();
    this.asking = new AbortController();
    try {
      const frame = this.known.get(row) ?? (await get(`api/frame/${row}`, this.asking.signal));
      this.remember(frame);
      if (this.row === row) this.fill(frame);
      if (next !== null && !this.known.has(next)) this.remember(await get(`api/frame/${next}`, this.asking.signal));
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof Gone)) this.told.fail(error.message);
    }
  }

  remember(frame) {
    this.known.delete(frame.row);
    this.known.set(frame.row, frame);
    if (this.known.size > REMEMBERED) this.known.delete(this.known.keys().next().value);
  }

  // The frame

  head(frame) {
    const said = verdict(frame);
    const film = this.dataset.sources[frame.source]?.name ?? "";
    this.box.classList.toggle("out", !frame.in);
    this.box.classList.toggle("kept", frame.in && frame.person === true);
    this.box.classList.toggle("hand", frame.person !== null);
    byId("large-title").textContent = `${film} · ${place(frame)}`;
    byId("large-verdict").textContent = said ?? "in";
    byId("large-badge").hidden = frame.in && frame.person === null;
    const stage = byId("stage");
    stage.style.setProperty("--ratio", frame.width && frame.height ? frame.width / frame.height : 4 / 3);
    stage.style.setProperty("--widest", `${Math.max(640, frame.width || 0)}px`);
    const source = `thumb/${frame.row}`;
    const picture = byId("stage-picture");
    if (picture.getAttribute("src") !== source) {
      picture.classList.remove("missing");
      picture.src = source;
      picture.alt = `${numbered(frame)} of ${film}`;
      picture.onerror = () => picture.classList.add("missing");
    }
  }

  fill(frame) {
    this.head(this.frames.get(frame.row) ?? frame);
    const key = JSON.stringify(frame);
    if (this.painted === key) return;
    this.painted = key;
    this.paint(frame);
    const focused = document.activeElement?.dataset?.crop;
    byId("crops").replaceChildren(...frame.crops.map((crop) => this.crop(frame, crop)));
    byId("crops-title").textContent = frame.crops.length ? `${count(frame.crops.length, "crop")}, pixel for pixel` : "No crops were cut";
    if (focused) byId("crops").querySelector(`[data-crop="${focused}"]`)?.focus();
    byId("facts").replaceChildren(...this.facts(frame));
    byId("group").replaceChildren(...this.group(frame));
    if (frame.group) this.frames.want([frame.row, ...frame.group.map((member) => member.row)]);
  }

  /** Crops in their places on the frame: full-resolution pixels in the enlarged thumbnail. */
  paint(frame) {
    const pictures = [];
    const boxes = frame.crops.map((crop) => {
      // No scale: the whole frame was squashed to this square.
      const [width, height] = crop.scale ? [frame.width * crop.scale, frame.height * crop.scale] : [crop.size, crop.size];
      const label = `crop ${crop.index}${crop.in ? "" : ", left out"}`;
      const box = make("button", { type: "button", class: "crop-box", "aria-label": label, title: label });
      const picture = make("div", { class: "painted-crop" }, ...this.halves(frame.row, crop));
      pictures.push(picture);
      for (const element of [box, picture]) {
        element.classList.toggle("out", !crop.in);
        element.style.left = `${(100 * crop.x) / width}%`;
        element.style.top = `${(100 * crop.y) / height}%`;
        element.style.width = `${(100 * crop.size) / width}%`;
        element.style.height = `${(100 * crop.size) / height}%`;
      }
      box.append(make("span", { class: "crop-number", "aria-hidden": "true" }, String(crop.index)));
      box.addEventListener("click", () => {
        const below = byId("crops").querySelector(`[data-crop="${crop.index} drop"]`);
        below?.scrollIntoView({ block: "center" });
        below?.focus();
      });
      return box;
    });
    byId("painted").replaceChildren(...pictures, ...boxes);
  }

  /** A crop, and above it the smoothed one, which is fetched when it is first wanted. */
  halves(row, crop) {
    const image = make("img", { src: `pair/${row}/${crop.index}/image`, alt: "", draggable: "false" });
    if (!crop.smoothed) return [image];
    const smoothed = make("img", { class: "half", alt: "", draggable: "false", "data-src": `pair/${row}/${crop.index}/smoothed` });
    if (this.smoothed) smoothed.src = smoothed.dataset.src;
    return [image, smoothed];
  }

  crop(frame, crop) {
    const picture = make("div", { class: "crop-picture" }, ...this.halves(frame.row, crop));
    picture.style.setProperty("--side", `${crop.size}px`);
    const said = crop.in ? "in" : crop.reason || "left out";
    const word = make("span", { class: "word", title: said }, said);
    const buttons = [true, false].map((keep) => {
      const name = keep ? "keep" : "drop";
      const button = make("button", {
        type: "button", class: `small ${name}`, "data-crop": `${crop.index} ${name}`,
        "aria-label": `${name} crop ${crop.index}`, "aria-pressed": String(crop.in === keep),
      }, icon(keep ? "check" : "cross"), name);
      button.addEventListener("click", () => this.told.decideCrop(frame, crop, keep));
      return button;
    });
    const caption = make("figcaption", {}, make("span", { class: "title" }, `crop ${crop.index}`), word, ...buttons);
    const figure_ = make("figure", { class: "crop" }, picture, caption);
    figure_.classList.toggle("out", !crop.in);
    return figure_;
  }

  // What is known of it

  facts(frame) {
    const source = this.dataset.sources[frame.source] ?? {};
    const first = frame.crops[0];
    const provenance = [
      ["film", source.name], ["still", frame.name], ["path", source.path ? make("span", {}, ...breakable(source.path)) : null],
      ["time", frame.seconds === null ? null : clock(frame.seconds, true)],
      ["frame number", frame.number === null ? null : NUMBER.format(frame.number)], ["pts", frame.pts === null ? null : String(frame.pts)],
      ["size", frame.width ? `${frame.width} × ${frame.height}` : null],
      ["scale of crops", first?.scale ? figure(first.scale) : null],
      ["fingerprint", frame.fingerprint], ["hash", frame.hash],
      ...frame.crops.map((crop) => [`crop ${crop.index}`, `${crop.size} × ${crop.size} at ${crop.x}, ${crop.y}`]),
    ];
    const parts = [part("What was said", this.history(frame)), part("Where it is from", definitions(provenance))];
    if (this.dataset.measures.length) parts.push(part("Measures", this.measures(frame.measures)));
    if (frame.content?.length) parts.push(part("Content", make("p", {}, frame.content.join(", "))));
    const tags = Object.entries(frame.tags ?? {}).sort((one, other) => other[1] - one[1]);
    if (tags.length) parts.push(part("Tags", definitions(tags.map(([name, p]) => [name, p.toFixed(2)]))));
    return parts;
  }

  history(frame) {
    const entries = [
      ...frame.rules.map((word) => ["left out by a rule", word.reason, word.because_of, null]),
      ...frame.history.map((word) => [`${spoken(word.keep)} by ${word.by}`, word.reason, null, word.at]),
    ];
    if (!entries.length) return make("p", { class: "quiet" }, "Nothing: no rule and no person left it out.");
    return make("ol", { class: "history" }, ...entries.map(([what, reason, other, at]) => {
      const line = make("li", {}, what, reason ? `: ${reason}` : "");
      if (other !== null && other !== undefined) line.append(" ", this.link(other));
      if (at) line.append(make("time", { datetime: at }, new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })));
      return line;
    }));
  }

  link(row) {
    const button = make("button", { type: "button", class: "link" }, "see the other");
    button.addEventListener("click", () => this.told.open(row));
    return button;
  }

  measures(values) {
    const rows = this.dataset.measures.filter(({ name }) => name in values).map(({ name, low, high, about }) => {
      const value = values[name];
      const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span"));
      const share = value === null || !(high > low) ? 0 : (value - low) / (high - low);
      bar.firstChild.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
      return [make("span", { title: about ?? "" }, name.replaceAll("_", " ")), make("span", {}, bar, figure(value))];
    });
    return definitions(rows, "measures");
  }

  group(frame) {
    if (!frame.group) return [];
    const title = make("h3", {}, `${frame.group.length} near-duplicates`);
    const tiles = frame.group.map(({ row, distance }, index) => this.member(frame, row, distance, index));
    return [title, make("div", { class: "members-strip" }, ...tiles)];
  }

  member(frame, row, distance, index) {
    const known = this.frames.get(row);
    const picture = make("button", { type: "button", class: "member", "aria-current": String(row === frame.row) });
    picture.setAttribute("aria-label", `near-duplicate ${index + 1}, ${count(distance, "bit")} from the first`);
    picture.append(make("img", { src: `thumb/${row}`, alt: "", loading: "lazy" }));
    if (index < 9) picture.append(make("kbd", { class: "key" }, String(index + 1)));
    picture.addEventListener("click", () => this.told.open(row));
    const apart = index ? count(distance, "bit") : "first";
    const only = make("button", { type: "button", class: "small" }, "keep this one");
    only.addEventListener("click", () => this.told.keepThis(row));
    const tile = make("figure", {}, picture, make("figcaption", {}, make("span", {}, apart), only));
    tile.classList.toggle("out", known ? !known.in : false);
    tile.dataset.row = row;
    return tile;
  }

  /** The row that a key from 1 to 9 picks in the group of the frame that is shown, or null. */
  numbered(number) {
    return this.known.get(this.row)?.group?.[number - 1]?.row ?? null;
  }

  // Switches

  toggleSmoothed() {
    if (!this.dataset.smoothed) return;
    this.smoothed = !this.smoothed;
    this.box.classList.toggle("smoothed", this.smoothed);
    byId("smoothed").setAttribute("aria-pressed", String(this.smoothed));
    if (!this.smoothed) return;
    for (const half of this.box.querySelectorAll("img.half:not([src])")) half.src = half.dataset.src;
  }

  toggleBoxes() {
    this.boxes = !this.boxes;
    this.box.classList.toggle("bare", !this.boxes);
    byId("boxes").setAttribute("aria-pressed", String(this.boxes));
  }
}

const spoken = (keep) => (keep === null ? "word taken back" : keep ? "kept" : "dropped");

const part = (title, ...content) => make("section", {}, make("h3", {}, title), ...content);

function definitions(entries, kind = "") {
  const said = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", { class: kind }, ...said.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}
