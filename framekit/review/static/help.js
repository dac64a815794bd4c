// What the keys do: the help, and the one list of them.

import { byId, make } from "./words.js";

export const KEYS = [
  ["Arrows", "go to another frame; Home, End, Page up and Page down, too"],
  ["Shift + arrows", "select from here on"],
  ["Ctrl + A", "select all frames of this view"],
  ["K", "keep, whatever rules say"],
  ["D", "drop"],
  ["Shift + D", "drop and say why"],
  ["R or Backspace", "take your word back: the rule's counts again"],
  ["U or Ctrl + Z", "undo what was done last, back to the start of the session"],
  ["Enter or Space", "large view, and back"],
  ["S", "crops smoothed, or as they are"],
  ["B", "boxes around crops, or none"],
  ["G", "the frame's near-duplicates, and back"],
  ["1 to 9", "of the group shown, keep the one with this number and drop the others"],
  ["O", "keep only this one of its group"],
  ["N", "go to the next frame after K and D, or stay"],
  ["+ and −", "larger and smaller tiles"],
  ["/", "filter"],
  ["Esc", "back: close, or select none"],
  ["?", "this help"],
];

export function openHelp() {
  const keys = byId("keys");
  if (!keys.children.length) {
    keys.append(...KEYS.map(([names, what]) => make("tr", {}, make("th", { scope: "row" }, ...caps(names)), make("td", {}, what))));
  }
  byId("help").showModal();
}

/** Names of keys as keys, the words between them as words. */
function caps(names) {
  return names.split(/( or | and | to | \+ )/).map((part, index) => (index % 2 ? part : make("kbd", {}, part)));
}
