// What the page knows of frames: what the server said last, and above it what the person just decided and
// the server has not answered yet.

import { get, Gone } from "./server.js";

const KEPT = 20_000; // frames remembered
const PAGE = 200; // frames asked for at once
const AT_ONCE = 2; // requests under way

export class Frames {
  /** @param changed called when something about frames is known anew. */
  constructor(changed) {
    this.changed = changed;
    this.known = new Map();
    this.pending = new Map(); // row → what was decided and is not answered yet
    this.wanted = [];
    this.asked = new Set();
    this.running = 0;
    this.now = 0; // grows with every word, so that an older answer never covers a newer one
    this.since = new Map();
    this.forgotten = 0;
  }

  /** What is known of a frame, with what was just decided; null where nothing is known yet. */
  get(row) {
    const known = this.known.get(row);
    if (!known) return null;
    const word = this.pending.get(row);
    return word ? { ...known, ...word.says, saving: true } : known;
  }

  /** Ask for these frames; those that were wanted before and are not now are no longer asked for. */
  want(rows) {
    this.wanted = rows.filter((row) => !this.known.has(row) && !this.asked.has(row));
    this.pump();
  }

  pump() {
    while (this.wanted.length && this.running < AT_ONCE) this.fetch(this.wanted.splice(0, PAGE));
  }

  async fetch(rows) {
    const started = this.now;
    this.running++;
    rows.forEach((row) => this.asked.add(row));
    try {
      const said = await get(`api/rows?rows=${rows.join(",")}`);
      this.put(said, started);
    } catch (error) {
      if (!(error instanceof Gone)) console.warn(error.message);
      this.wanted = [];
    } finally {
      this.running--;
      rows.forEach((row) => this.asked.delete(row));
    }
    this.pump();
    this.changed();
  }

  /** Take in what the server said, unless something newer is known or was decided since it was asked. */
  put(said, started = this.now) {
    if (started < this.forgotten) return;
    for (const frame of said) {
      if ((this.since.get(frame.row) ?? 0) > started) continue;
      this.known.delete(frame.row);
      this.known.set(frame.row, frame);
    }
    for (const row of this.known.keys()) {
      if (this.known.size <= KEPT) break;
      this.known.delete(row);
    }
  }

  /** Show a decision before it is answered. @returns a token for `settle`. */
  decide(rows, says) {
    const word = { says };
    this.now++;
    for (const row of rows) this.pending.set(row, word);
    return word;
  }

  /** The server has answered: its words stand in the place of what was shown. */
  settle(rows, word, said) {
    this.now++;
    const told = new Map(said.map((frame) => [frame.row, frame]));
    for (const row of rows) {
      if (this.pending.get(row) === word) this.pending.delete(row);
      this.since.set(row, this.now);
      if (!told.has(row)) this.known.delete(row);
    }
    for (const frame of said) this.since.set(frame.row, this.now);
    this.put(said);
    if (this.since.size > KEPT) this.forget();
  }

  /** Some frames, or all of them, are not as they were: ask anew when they are shown. */
  forget(rows = null) {
    this.now++;
    if (rows) {
      for (const row of rows) {
        this.known.delete(row);
        this.since.set(row, this.now);
      }
      return;
    }
    this.known.clear();
    this.since.clear();
    this.forgotten = this.now;
  }
}
