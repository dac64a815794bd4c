// Words and small pieces of the page: numbers, times, names, elements. Text from the server only ever becomes
// text nodes and attribute values here, never markup.

export const NUMBER = new Intl.NumberFormat("en");

/** "1,061 frames", "1 frame". */
export function count(number, one, many = `${one}s`) {
  return `${NUMBER.format(number)} ${number === 1 ? one : many}`;
}

/** With a capital and a full stop. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** Seconds as 0:07 or 1:02:07; tenths where `fine`. */
export function clock(seconds, fine = false) {
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = fine ? (seconds % 60).toFixed(2).padStart(5, "0") : String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Seconds of "83", "1:23" or "1:02:07"; null where it is no time. */
export function secondsOf(text) {
  const parts = text.trim().split(":");
  if (parts.length > 3 || !parts.every((part) => /^\d+([.]\d+)?$/.test(part))) return null;
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** A measure's value in as many digits as tell something. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return NUMBER.format(value);
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(3);
}

/** What a frame is called by its number; by its id where it has none. */
export const numbered = (frame) => (frame.number === null ? frame.id : `frame ${NUMBER.format(frame.number)}`);

/** What a frame is called in its film: by its time, or a still by its name. */
export function place(frame) {
  if (frame.name) return frame.name;
  return frame.seconds === null ? numbered(frame) : clock(frame.seconds);
}

/** The reason of those that a person dropped without giving one. */
export const UNSAID = "by hand";

/** What is decided of a frame or crop, in words; `null` where there is nothing to say. */
export function verdict(frame) {
  if (frame.in) return frame.person === true ? "kept by hand" : null;
  const why = frame.reason === UNSAID ? null : frame.reason;
  if (frame.person === false) return why ? `dropped: ${why}` : "dropped by hand";
  return frame.reason || "left out";
}

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A path that may be broken after its slashes. */
export const breakable = (path) => path.split(/(?<=\/)/).flatMap((part) => [part, make("wbr")]);

const SVG = "http://www.w3.org/2000/svg";

/** One of the drawings that index.html holds. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

export const byId = (id) => document.getElementById(id);
