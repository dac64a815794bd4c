// The review page: looking at a dataset and saying what stays in it.

import { Deciding } from "./deciding.js";
import { asBody, FilterPanel, filtersIn, followsDecisions, narrows, openIn } from "./filters.js";
import { Frames } from "./frames.js";
import { Grid } from "./grid.js";
import { openHelp } from "./help.js";
import { Large } from "./large.js";
import { get, Gone, post, Refused, server, view } from "./server.js";
import { breakable, byId, count, make, NUMBER, numbered, place, sentence } from "./words.js";

const SIZES = { least: 96, most: 480, step: 24 };
const REFRESH = 400; // milliseconds between a word and new counts
const RETRY = 2_000; // milliseconds between two looks for a server that is gone

let dataset = null;
let filters = null; // of the view that is shown
let stale = false; // whether words were said since, that the filters mind
let loading = null;
let version = 0; // up to which all changes are known
let seen = Infinity; // the version that the first view had

const frames = new Frames(() => {
  shapeOf();
  grid.refresh();
  large.refresh();
  bar();
});
const grid = new Grid(frames, { open: (row) => go(filters, row), moved: bar, keepThis });
const large = new Large(frames, {
  step,
  close: closeLarge,
  open: (row) => go(filters, row, true),
  keepThis,
  decideCrop,
  fail: (text) => alarm(text),
});
const panel = new FilterPanel((wanted, replace) => go(wanted, null, replace));
const deciding = new Deciding(frames, { saved, failed, undone, exhausted, changed: showChanges });

// Where one is: filters and the frame that is open stand in the address

function go(wanted, open = null, replace = false) {
  const parts = [wanted.toString(), open === null ? "" : `open=${open}`].filter(Boolean);
  const address = parts.length ? `#${parts.join("&")}` : location.pathname;
  const same = openIn(location.hash) !== null && open !== null;
  if (replace || same) history.replaceState(history.state, "", address);
  else history.pushState({ inside: true }, "", address);
  arrive();
}

async function arrive() {
  const wanted = filtersIn(location.hash);
  const open = openIn(location.hash);
  if (filters === null || wanted.toString() !== filters.toString()) await load(wanted);
  showLarge(open);
}

async function load(wanted) {
  const stay = !filters || ["sort", "desc"].every((name) => filters.get(name) === wanted.get(name)) || filters.get("group") !== wanted.get("group");
  filters = wanted;
  panel.show(filters);
  loading?.abort();
  const mine = (loading = new AbortController());
  byId("app").setAttribute("aria-busy", "true");
  try {
    // Tiles come with what the dataset is: a key pressed at the first of them finds all that it needs.
    const [shown] = await Promise.all([view(filters, mine.signal), dataset ?? recognise()]);
    if (loading !== mine) return;
    stale = false;
    seen = Math.min(seen, shown.version);
    grid.show(shown.rows, shown.heads, stay);
    empty(shown.rows.length ? null : narrows(filters) ? "No frame is like this." : "This dataset has no frames.");
    say(`${count(shown.rows.length, "frame")} shown`);
  } catch (error) {
    if (error.name === "AbortError" || loading !== mine) return;
    grid.show(new Uint32Array(), null, false);
    empty(error instanceof Gone ? "The server does not answer." : `This view cannot be shown: ${error.message}`);
  } finally {
    if (loading === mine) byId("app").removeAttribute("aria-busy");
    banners();
    bar();
  }
}

function empty(text) {
  byId("empty").hidden = text === null;
  byId("empty-text").textContent = text ?? "";
  byId("empty-clear").hidden = !narrows(filters);
}

/** Tiles take the shape of the first frame that is known. */
function shapeOf() {
  if (grid.shaped || !grid.rows.length) return;
  const frame = frames.get(grid.rows[0]);
  if (!frame?.width || !frame.height) return;
  grid.shaped = true;
  grid.aspect = Math.min(2.4, Math.max(0.75, frame.width / frame.height));
  grid.layout();
}

// The large view

function showLarge(row) {
  const isOpen = row !== null && row < (dataset?.frames ?? Infinity);
  for (const id of ["top", "main"]) byId(id).inert = isOpen;
  document.body.classList.toggle("looking", isOpen);
  if (!isOpen) {
    if (!large.isOpen) return;
    large.close();
    grid.reveal();
    grid.box.focus({ preventScroll: true });
    bar();
    return;
  }
  const first = !large.isOpen;
  const there = grid.current() === row || grid.toRow(row);
  const next = there ? grid.rows[grid.active + 1] : undefined;
  frames.want([row]);
  large.show(row, there ? `${NUMBER.format(grid.active + 1)} of ${NUMBER.format(grid.rows.length)}` : "", next ?? null);
  if (first) byId("large-scroll").focus({ preventScroll: true });
  const frame = frames.get(row);
  if (frame) say(`Large view: ${words(frame)}`);
  bar();
}

function closeLarge() {
  if (history.state?.inside) history.back();
  else go(filters, null, true);
}

function step(by) {
  if (!large.isOpen) return grid.to(grid.active + by);
  const position = grid.active + by;
  if (position < 0 || position >= grid.rows.length) return say(by < 0 ? "This is the first." : "This is the last.");
  grid.to(position);
  go(filters, grid.current(), true);
}

// Saying what stays

const subject = () => (large.isOpen ? [large.row] : grid.chosen());

const VERBS = { true: ["Keep", "Kept"], false: ["Drop", "Dropped"], null: ["Reset", "Reset"] };

async function act(keep, why = false) {
  const rows = subject();
  if (!rows.length) return;
  const [verb, done] = VERBS[keep];
  const whole = !large.isOpen && rows.length > 1 && rows.length === grid.rows.length;
  let reason = "";
  if (rows.length > 1 || why) {
    const hindrance = deciding.hindrance();
    if (hindrance) return failed(hindrance, rows);
    const answer = await confirmed(verb, keep, rows, whole);
    if (answer === null) return;
    reason = answer;
  }
  const name = rows.length === 1 ? title(rows[0]) : count(rows.length, "frame");
  const saving = deciding.decide(rows, keep, reason, `${done} ${name}`, whole && !stale ? asBody(filters) : null);
  if (rows.length > 1) grid.selectNone();
  else if (keep !== null && byId("advance").checked && !deciding.hindrance()) step(1);
  await saving;
}

function keepThis(row) {
  const frame = frames.get(row);
  if (!frame || frame.group === null) return say("This frame has no near-duplicates.", true);
  const others = [...frames.known.values()].filter((other) => other.group === frame.group && other.row !== row);
  return deciding.keepThis(row, others.map((other) => other.row), `Kept ${title(row)} of ${frame.members} near-duplicates`);
}

async function pick(number) {
  const row = large.isOpen ? large.numbered(number) : grid.numbered(number);
  if (row === null) {
    const frame = frames.get(large.isOpen ? large.row : grid.current());
    if (!frame || frame.group === null) return say("This frame has no near-duplicates.", true);
    const there = large.isOpen || grid.heads;
    return say(there ? `There is no number ${number} in this group.` : "Press G to see the frame's group and its numbers.", true);
  }
  const saved = keepThis(row);
  if (!large.isOpen && byId("advance").checked) grid.toNextGroup();
  return saved;
}

function decideCrop(frame, crop, keep) {
  const hindrance = deciding.hindrance();
  if (hindrance) return failed(hindrance, [frame.row]);
  const crops = frame.crops.map((other) => (other.index === crop.index ? { ...other, in: keep, reason: null } : other));
  large.remember({ ...frame, crops });
  large.fill(large.known.get(frame.row));
  const text = `${VERBS[keep][1]} crop ${crop.index} of ${title(frame.row)}`;
  return deciding.decideCrop(frame.row, crop.index, keep, text);
}

/** Ask before many frames are decided at once. @returns the reason, or null where nothing is to happen. */
function confirmed(verb, keep, rows, whole) {
  const one = rows.length === 1;
  const name = one ? "this frame" : count(rows.length, "frame");
  const what = {
    true: one ? "It stays in whatever rules say." : "They stay in whatever rules say.",
    false: one ? "It is left out with all its crops; no file is touched." : "They are left out with all their crops; no file is touched.",
    null: "What rules say of them counts again.",
  };
  const all = whole ? `That is all of this view${narrows(filters) ? "" : ", the whole dataset"}. ` : "";
  const text = `${all}${what[keep]} Undo takes it back.`;
  return ask({ title: `${verb} ${name}?`, text, yes: one ? verb : `${verb} ${name}`, drop: keep === false, reason: keep !== null, toReason: one });
}

/** @returns what was written as the reason, perhaps nothing; null where the answer is no. */
function ask({ title, text, yes, drop = false, reason = false, toReason = false }) {
  const dialog = byId("ask");
  if (dialog.open) return Promise.resolve(null);
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  byId("ask-yes").className = drop ? "drop" : "primary";
  byId("ask-reason-part").hidden = !reason;
  byId("ask-reason").value = "";
  byId("known-reasons").replaceChildren(...Object.keys(dataset.reasons).slice(0, 50).map((value) => make("option", { value })));
  dialog.showModal();
  byId(toReason ? "ask-reason" : "ask-yes").focus();
  return new Promise((resolve) => (ask.settle = resolve));
}

/** Not left to the dialog's own "close", which a browser may tell when the next question is already asked. */
function answered(answer) {
  byId("ask").close();
  ask.settle?.(answer);
  ask.settle = null;
}

function showChanges() {
  grid.refresh();
  large.refresh();
  bar();
}

function saved(text, rows) {
  minded(rows);
  toast(text, true);
}

function failed(text, rows, error) {
  large.forget(rows.length > 100 ? null : rows);
  showChanges();
  alarm(text);
  if (error?.status === 409) load(filters);
}

function undone(answer) {
  const rows = answer.rows.map((frame) => frame.row);
  minded(answer.items > rows.length ? null : rows);
  const left = answer.skipped ? `; ${count(answer.skipped, "frame")} left as somebody else decided since` : "";
  toast(`${answer.items ? "Taken back" : "Not taken back"}: ${answer.what}${left}`, false);
  if (rows.length === 1 && large.isOpen) go(filters, rows[0], true);
  else if (rows.length === 1) grid.toRow(rows[0]);
}

/** Nothing of this tab is left to undo: what other tabs did is theirs, unless the person says otherwise. */
async function exhausted(error) {
  if (!error.items) return alarm("Nothing to undo.");
  const answer = await ask({ title: "Undo what another tab did?", text: sentence(error.message), yes: "Undo it" });
  return answer === null ? null : deciding.undo(true);
}

/** Frames were decided: counts and what hangs on them are to be asked for anew. */
function minded(rows) {
  large.forget(rows === null || rows.length > 1_000 ? null : rows);
  if (filters && followsDecisions(filters)) stale = true;
  showChanges();
  banners();
  clearTimeout(minded.soon);
  minded.soon = setTimeout(recount, REFRESH);
}

async function recount() {
  try {
    await recognise();
  } catch (error) {
    if (!(error instanceof Gone)) console.warn(error.message);
  }
}

// What others do meanwhile

async function follow() {
  for (;;) {
    if (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    const watching = new AbortController();
    const leave = () => document.hidden && watching.abort(); // a browser has few connections for all tabs
    document.addEventListener("visibilitychange", leave);
    try {
      const change = await get(`api/changes?since=${version}&wait=25`, watching.signal);
      follow.trouble = null;
      if (change.version > version) heard(change);
    } catch (error) {
      if (error instanceof Refused && error.message !== follow.trouble) alarm((follow.trouble = error.message));
      if (error.name !== "AbortError") await new Promise((done) => setTimeout(done, RETRY));
    } finally {
      document.removeEventListener("visibilitychange", leave);
    }
  }
}

function heard(change) {
  let all = true;
  for (let each = version + 1; each <= change.version; each++) if (!deciding.own.delete(each)) all = false;
  version = change.version;
  if (all || change.rows?.length === 0) return;
  frames.forget(change.rows);
  minded(change.rows);
  say(change.rows ? `Elsewhere, ${count(change.rows.length, "frame")} changed.` : "Elsewhere, frames changed.");
}

// What the page says

async function recognise() {
  describe(await get("api/dataset"));
}

function describe(said) {
  dataset = said;
  grid.name(said.sources);
  large.describe(said);
  panel.describe(said);
  document.title = `${said.name} · review`;
  byId("name").textContent = said.name;
  deciding.problem = said.saving.problem;
  banners();
  bar();
}

function banners() {
  const saving = dataset?.saving;
  byId("gone").hidden = !server.gone;
  byId("read-only").hidden = !saving?.problem;
  byId("read-only-text").textContent = saving?.problem ? sentence(saving.problem) : "";
  byId("save-elsewhere").hidden = !saving?.elsewhere;
  byId("save-elsewhere").textContent = `Save decisions in ${saving?.elsewhere ?? ""}`;
  byId("outdated").hidden = !dataset?.outdated;
  byId("stale").hidden = !stale;
  byId("where").hidden = !saving || Boolean(saving.problem);
  byId("where").replaceChildren("saved in ", ...breakable(saving?.where ?? ""), ` as ${dataset?.by}`);
}

async function saveElsewhere() {
  try {
    const saving = await deciding.inTurn(() => post("api/save-elsewhere", {}));
    describe({ ...dataset, saving });
    toast(`From now on, decisions are saved in ${saving.where}`, false);
    grid.box.focus({ preventScroll: true });
  } catch (error) {
    alarm(error.message);
  }
}

/** The line below: where one is, and what can be done about it. */
function bar() {
  if (!dataset) return;
  const shown = grid.rows.length;
  byId("shown").textContent = filters && narrows(filters) ? `${NUMBER.format(shown)} of ${count(dataset.frames, "frame")}` : count(dataset.frames, "frame");
  const selected = grid.selected.size;
  const row = large.isOpen ? large.row : grid.current();
  const frame = row === null ? null : frames.get(row);
  byId("subject").textContent = selected && !large.isOpen ? `${NUMBER.format(selected)} selected` : frame ? title(row) : "";
  byId("subject-where").textContent = selected || !shown ? "" : `${NUMBER.format(grid.active + 1)} of ${NUMBER.format(shown)}`;
  byId("select-none").hidden = !selected || large.isOpen;
  byId("select-all").hidden = large.isOpen;
  byId("select-all").disabled = !shown;
  byId("select-all-count").textContent = NUMBER.format(shown);
  byId("several").hidden = large.isOpen;
  byId("several").disabled = !shown;
  byId("several").setAttribute("aria-pressed", String(grid.several));
  for (const id of ["keep", "drop", "reset", "open"]) byId(id).disabled = row === null;
  byId("open-text").textContent = large.isOpen ? "Grid" : "Large";
  byId("to-group").disabled = !frame || frame.group === null;
  byId("to-group").setAttribute("aria-pressed", String(Boolean(filters?.has("group"))));
  byId("keep").setAttribute("aria-pressed", String(!selected && frame?.person === true));
  byId("drop").setAttribute("aria-pressed", String(!selected && frame?.person === false));
}

function title(row) {
  const frame = frames.get(row);
  if (!frame) return "frame";
  if (frame.name) return frame.name;
  const film = dataset.sources.length > 1 ? `${dataset.sources[frame.source]?.name} · ` : "";
  return `${film}${numbered(frame)}`;
}

const words = (frame) => `${dataset.sources[frame.source]?.name ?? ""}, ${place(frame)}, ${numbered(frame)}`;

/** To those who listen; and where `seen`, to those who look, too. */
function say(text, seen = false) {
  if (seen) return toast(text, false);
  byId("spoken").textContent = text;
}

function toast(text, undo) {
  byId("toast-text").textContent = byId("spoken").textContent = text;
  byId("toast-undo").hidden = !undo;
  byId("toast").classList.remove("alarm");
  byId("toast").hidden = false;
  clearTimeout(toast.gone);
  toast.gone = setTimeout(() => (byId("toast").hidden = true), 8_000);
}

function alarm(text) {
  toast("", false);
  byId("toast").classList.add("alarm");
  byId("alarm").textContent = "";
  byId("alarm").textContent = text;
  byId("toast-text").textContent = text;
}

// Keys

const LETTERS = {
  k: () => act(true),
  d: (event) => act(false, event.shiftKey),
  r: () => act(null),
  backspace: () => act(null),
  u: () => deciding.undo(),
  s: () => large.toggleSmoothed(),
  b: () => large.toggleBoxes(),
  g: toGroup,
  o: () => subject().length && keepThis(large.isOpen ? large.row : grid.current()),
  n: () => byId("advance").click(),
  "+": () => resize(1),
  "=": () => resize(1),
  "-": () => resize(-1),
  "?": openHelp,
  "/": toFilter,
};

const ONCE = new Set(["k", "d", "r", "backspace", "g", "o", "s", "b", "n"]); // a key held down decides once

function pressed(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return back(event);
  if (event.target.closest("input, select, textarea")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return withControl(event, key);
  if (event.altKey) return;
  const native = (key === "enter" || key === " ") && event.target.closest("button"); // which presses it
  const plain = /^[1-9]$/.test(key) || Object.hasOwn(LETTERS, key);
  if (plain && !byId("letters").checked) return; // for those who speak to their computer
  if (/^[1-9]$/.test(key)) pick(Number(key));
  else if (Object.hasOwn(LETTERS, key)) {
    if (!(event.repeat && ONCE.has(key))) LETTERS[key](event);
  } else if (native || !moved(event)) return;
  event.preventDefault();
}

function withControl(event, key) {
  if (key === "a" && !large.isOpen) grid.selectAll();
  else if (key === "z" && !event.shiftKey) deciding.undo();
  else return;
  event.preventDefault();
}

/** Keys that lead elsewhere. @returns whether it was one. */
function moved(event) {
  const { key } = event;
  if (key === "Enter" || key === " ") {
    if (large.isOpen) closeLarge();
    else if (grid.current() !== null) go(filters, grid.current());
    return true;
  }
  if (large.isOpen) {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return false;
    step(key === "ArrowLeft" ? -1 : 1);
    return true;
  }
  if (!/^(Arrow|Page|Home|End)/.test(key)) return false;
  grid.box.focus({ preventScroll: true });
  grid.to(grid.after(key), event.shiftKey);
  return true;
}

function back(event) {
  if (document.body.classList.contains("filtering")) showFilters(false);
  else if (event.target.closest("input, select, textarea")) grid.box.focus();
  else if (large.isOpen) closeLarge();
  else if (grid.selected.size || grid.several) selectNone();
  else if (filters?.has("group")) toGroup();
  else return;
  event.preventDefault();
}

function selectNone() {
  grid.several = false;
  grid.selectNone();
}

let before = null; // the filters from which one went to a group

function toGroup() {
  const row = large.isOpen ? large.row : grid.current();
  if (filters.has("group")) {
    const back = before ?? new URLSearchParams();
    before = null;
    return go(back);
  }
  const frame = row === null ? null : frames.get(row);
  if (!frame || frame.group === null) return say("This frame has no near-duplicates.", true);
  before = filters;
  if (large.isOpen) grid.toRow(row);
  return go(new URLSearchParams({ group: row, sort: "group" }));
}

function toFilter() {
  showFilters(true);
  byId("q").focus();
  byId("q").select();
}

/** On a narrow screen the filters are a drawer. */
function showFilters(open) {
  document.body.classList.toggle("filtering", open);
  byId("show-filters").setAttribute("aria-expanded", String(open));
  if (!open) byId(narrow.matches ? "show-filters" : "grid").focus();
}

// What a person likes, kept in the browser

const narrow = matchMedia("(max-width: 760px)");

function resize(by) {
  const size = Math.min(SIZES.most, Math.max(SIZES.least, grid.size + by * SIZES.step));
  byId("size").value = size;
  sized();
}

function sized() {
  grid.size = Number(byId("size").value);
  grid.layout();
  remember("size", grid.size);
}

function remember(name, value) {
  try {
    localStorage.setItem(`framekit-review-${name}`, value);
  } catch {
    // a browser that keeps nothing: the page works, and forgets
  }
}

function remembered(name) {
  try {
    return localStorage.getItem(`framekit-review-${name}`);
  } catch {
    return null;
  }
}

function likings() {
  const size = Number(remembered("size")) || (narrow.matches ? 150 : 200);
  byId("size").value = grid.size = Math.min(SIZES.most, Math.max(SIZES.least, size));
  for (const id of ["advance", "letters"]) byId(id).checked = remembered(id) !== "no";
  const theme = remembered("theme");
  byId("theme").value = ["light", "dark"].includes(theme) ? theme : "";
  document.documentElement.dataset.theme = byId("theme").value;
}

function listen() {
  const clicks = {
    keep: () => act(true), drop: () => act(false), reset: () => act(null), undo: () => deciding.undo(),
    "toast-undo": () => deciding.undo(), "to-group": toGroup, "show-help": openHelp,
    "select-all": () => grid.selectAll(), "select-none": selectNone, "empty-clear": () => go(new URLSearchParams()),
    open: () => (large.isOpen ? closeLarge() : go(filters, grid.current())),
    "show-filters": () => showFilters(!document.body.classList.contains("filtering")),
    "hide-filters": () => showFilters(false), shade: () => showFilters(false), "show-anew": () => load(filters),
    "save-elsewhere": saveElsewhere, "toast-close": () => {
      byId("toast").hidden = true;
      byId(large.isOpen ? "large-scroll" : "grid").focus({ preventScroll: true });
    },
    "help-close": () => byId("help").close(), "ask-no": () => answered(null),
    several: () => {
      grid.several = !grid.several;
      if (!grid.several) grid.selectNone();
      bar();
    },
  };
  for (const [id, work] of Object.entries(clicks)) byId(id).addEventListener("click", work);
  byId("ask").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    answered(byId("ask-reason").value.trim());
  });
  byId("ask").addEventListener("cancel", () => answered(null));
  byId("ask").addEventListener("close", () => byId("ask").open || answered(null));
  byId("size").addEventListener("input", sized);
  byId("advance").addEventListener("change", () => {
    remember("advance", byId("advance").checked ? "yes" : "no");
    say(byId("advance").checked ? "After a decision, on to the next." : "After a decision, stay.", true);
  });
  byId("letters").addEventListener("change", () => remember("letters", byId("letters").checked ? "yes" : "no"));
  byId("theme").addEventListener("change", () => {
    document.documentElement.dataset.theme = byId("theme").value;
    remember("theme", byId("theme").value);
  });
  document.addEventListener("keydown", pressed);
  addEventListener("popstate", arrive);
  addEventListener("beforeunload", (event) => deciding.under_way && event.preventDefault());
  server.addEventListener("gone", banners);
  server.addEventListener("back", () => {
    frames.forget();
    recount();
    load(filters);
  });
}

async function start() {
  likings();
  listen();
  await arrive();
  version = dataset ? Math.min(dataset.version, seen) : 0;
  grid.layout();
  grid.refresh();
  if (!large.isOpen) grid.box.focus({ preventScroll: true });
  follow();
}

start();
