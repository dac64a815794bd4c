// Decisions: shown at once, saved one after the other, taken back where the server refuses.

import { Gone, post, server, TAB } from "./server.js";

export class Deciding {
  /**
   * @param frames the page's frames.
   * @param told `saved(text, rows)`, `failed(text, rows, error)`, `undone(answer)`, `exhausted(error)`: nothing of
   *   this tab is left to undo, `changed()`: what happened.
   */
  constructor(frames, told) {
    this.frames = frames;
    this.told = told;
    this.own = new Set(); // versions that this tab made, of which it knows what has changed
    this.problem = null; // why nothing can be saved
    this.under_way = 0;
    this.last = Promise.resolve();
  }

  /** One after the other, so that words are saved in the order in which they were said. */
  async inTurn(work) {
    const turn = this.under_way++ ? this.last.then(work) : work();
    this.last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.under_way--;
    }
  }

  /** Why nothing would be saved now; null where it would. */
  hindrance() {
    if (server.gone) return "Not saved: the server is gone.";
    return this.problem ? `Not saved: ${this.problem}` : null;
  }

  /**
   * Save words, which are shown until the server answers.
   *
   * @param rows all frames that they are about.
   * @param shown frames, and what they are shown to be: [[rows, says], …].
   * @param text what was done, in words.
   * @returns whether they were saved.
   */
  async save(path, body, rows, shown, text) {
    const hindrance = this.hindrance();
    if (hindrance) {
      this.told.failed(hindrance, rows);
      return false;
    }
    const answering = this.inTurn(() => post(path, { ...body, tab: TAB })); // first, so that it goes while tiles change
    const words = shown.map(([some, says]) => [some, this.frames.decide(some, says)]);
    if (words.length) this.told.changed();
    try {
      const answer = await answering;
      this.own.add(answer.version);
      for (const [some, word] of words) this.frames.settle(some, word, answer.rows);
      if (answer.items > answer.rows.length) this.frames.forget(rows);
      this.frames.put(answer.rows);
      this.told.saved(text, rows);
      return true;
    } catch (error) {
      for (const [some, word] of words) this.frames.settle(some, word, []);
      const why = error instanceof Gone ? "the server is gone." : error.message;
      this.told.failed(`Not saved: ${why}`, rows, error);
      return false;
    }
  }

  decide(rows, keep, reason, text, view = null) {
    const body = { ...(view ? { view } : { rows }), keep, reason, expect: rows.length };
    const says = keep === null ? { person: null } : { in: keep, person: keep, reason: keep ? null : reason };
    return this.save("api/decide", body, rows, [[rows, says]], text);
  }

  decideCrop(row, index, keep, text) {
    const body = { crops: [[row, index]], keep, reason: "", expect: 1 };
    return this.save("api/decide", body, [row], [], text);
  }

  /** Keep one frame of a group; `others` are those of the group that the page knows. */
  keepThis(row, others, text) {
    const chosen = [[row], { in: true, person: true, reason: null }];
    const rest = [others, { in: false, person: false, reason: "another chosen" }];
    return this.save("api/keep-this", { row }, [row, ...others], [chosen, rest], text);
  }

  /** Take back what this tab did last, or, where `anyone`, what was done last in any. */
  async undo(anyone = false) {
    const hindrance = this.hindrance();
    if (hindrance) return this.told.failed(hindrance, []);
    try {
      const answer = await this.inTurn(() => post("api/undo", { tab: TAB, anyone }));
      this.own.add(answer.version);
      if (answer.items > answer.rows.length) this.frames.forget();
      else this.frames.forget(answer.rows.map((frame) => frame.row));
      this.frames.put(answer.rows);
      this.told.undone(answer);
    } catch (error) {
      if (error.status !== 409) this.told.failed(`Not undone: ${error.message}`, []);
      else this.told.exhausted(error);
    }
  }
}
