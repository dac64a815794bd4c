// Filters live in the address's fragment, by the names that the server knows, so that a reload keeps them.

import { byId, clock, count, figure, icon, make, NUMBER, secondsOf } from "./words.js";

const NAMES = "source from to state reason measure min max content group duplicates q sort desc".split(" ");
const LISTS = ["source", "reason", "content"];
const ORDER = ["sort", "desc"];

/** The filters in an address's fragment, in one order, without what is not theirs. */
export function filtersIn(fragment) {
  const found = new URLSearchParams(fragment.replace(/^#/, ""));
  const filters = new URLSearchParams();
  for (const name of NAMES) for (const value of found.getAll(name)) if (value) filters.append(name, value);
  return filters;
}

/** The row that an address's fragment opens in the large view; null where it opens none. */
export function openIn(fragment) {
  const row = new URLSearchParams(fragment.replace(/^#/, "")).get("open");
  return row && /^\d+$/.test(row) ? Number(row) : null;
}

/** As the server takes a view to decide about: lists where a name may be repeated. */
export function asBody(filters) {
  const names = [...new Set(filters.keys())];
  return Object.fromEntries(
    names.map((name) => [name, LISTS.includes(name) ? filters.getAll(name) : filters.get(name)]),
  );
}

/** Whether what persons decide may change which frames these filters show. */
export const followsDecisions = (filters) => filters.has("state") || filters.has("reason");

/** Whether anything is filtered at all. */
export const narrows = (filters) => [...filters.keys()].some((name) => !ORDER.includes(name));

const STATES = { in: "in", out: "left out", mine: "decided by hand" };

/** The panel of filters and the chips that say which are set. */
export class FilterPanel {
  /** @param change called with the new filters, and whether they replace the last ones in the history. */
  constructor(change) {
    this.change = change;
    this.filters = new URLSearchParams();
    this.dataset = null;
    const panel = byId("filters");
    panel.addEventListener("change", (event) => this.changed(event.target));
    panel.addEventListener("submit", (event) => event.preventDefault());
    byId("q").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.put("q", byId("q").value.trim(), true), 200);
    });
    byId("sort").addEventListener("change", () => this.put("sort", byId("sort").value));
    byId("desc").addEventListener("click", () => this.put("desc", this.filters.has("desc") ? "" : "1"));
    byId("clear").addEventListener("click", () => this.clear());
  }

  /** Fill in what the dataset has. */
  describe(dataset) {
    const first = this.dataset === null;
    this.dataset = dataset;
    const films = dataset.sources.map((source, index) => [index, source.name, source.frames]);
    this.boxes("films", "source", films);
    this.boxes("reasons", "reason", Object.entries(dataset.reasons).map(([name, n]) => [name, name, n]));
    this.boxes("contents", "content", Object.entries(dataset.content || {}).map(([name, n]) => [name, name, n]));
    byId("films-part").hidden = !films.length;
    byId("contents-part").hidden = !dataset.content;
    byId("reasons-part").hidden = !Object.keys(dataset.reasons).length;
    byId("duplicates-part").hidden = !dataset.groups;
    byId("duplicates-count").textContent = count(dataset.groups, "group");
    byId("time-part").hidden = dataset.sources.every((source) => source.seconds === null);
    byId("measure-part").hidden = !dataset.measures.length;
    for (const [name, number] of Object.entries({ "": dataset.frames, in: dataset.in, mine: dataset.mine })) {
      byId(`count-${name || "all"}`).textContent = number === undefined ? "" : NUMBER.format(number);
    }
    const out = dataset.in === undefined ? "" : NUMBER.format(dataset.frames - dataset.in);
    byId("count-out").textContent = out;
    if (first) this.offerMeasures();
    this.show(this.filters);
  }

  offerMeasures() {
    const orders = [["", "order"], ["group", "near-duplicate groups"]];
    const measures = this.dataset.measures.map(({ name }) => [name, name.replaceAll("_", " ")]);
    byId("sort").replaceChildren(...orders.map(option), make("optgroup", { label: "measures" }, ...measures.map(option)));
    byId("measure").replaceChildren(option(["", "any measure"]), ...measures.map(option));
  }

  /** Check boxes with counts, made anew only when their names change. */
  boxes(id, name, entries) {
    const list = byId(id);
    const names = JSON.stringify(entries.map((entry) => entry.slice(0, 2)));
    if (list.dataset.names !== names) {
      list.dataset.names = names;
      list.replaceChildren(...entries.map(([value, label]) => box(name, value, label)));
    }
    entries.forEach(([, , number], place) => {
      list.children[place].querySelector(".number").textContent = NUMBER.format(number);
    });
  }

  /** Make the panel say what the filters are. */
  show(filters) {
    this.filters = filters;
    for (const input of byId("filters").querySelectorAll("input[type=checkbox], input[type=radio]")) {
      if (!input.name) continue;
      const all = input.type === "radio" && !input.value;
      input.checked = all ? !filters.has(input.name) : filters.getAll(input.name).includes(input.value);
    }
    for (const name of ["q", "sort", "measure", "min", "max"]) {
      if (document.activeElement !== byId(name)) byId(name).value = filters.get(name) ?? "";
    }
    for (const name of ["from", "to"]) {
      const value = filters.get(name);
      if (document.activeElement !== byId(name)) byId(name).value = value === null ? "" : clockOf(value);
    }
    byId("desc").setAttribute("aria-pressed", String(filters.has("desc")));
    byId("desc").hidden = ["", "group"].includes(filters.get("sort") ?? "");
    byId("clear").hidden = !narrows(filters);
    this.showMeasure();
    byId("chips").replaceChildren(...this.chips());
  }

  showMeasure() {
    const known = this.dataset?.measures.find(({ name }) => name === this.filters.get("measure"));
    byId("measure-range").hidden = !known;
    byId("measure-about").textContent = known?.about ?? "";
    if (!known) return;
    byId("min").placeholder = figure(known.low);
    byId("max").placeholder = figure(known.high);
  }

  chips() {
    const { filters, dataset } = this;
    const chips = [];
    const chip = (text, ...names) => chips.push(this.chip(text, (f) => names.forEach((name) => f.delete(name))));
    if (filters.has("q")) chip(`“${filters.get("q")}”`, "q");
    if (filters.has("state")) chip(STATES[filters.get("state")] ?? filters.get("state"), "state");
    for (const name of LISTS) {
      for (const value of filters.getAll(name)) {
        const text = name === "source" ? (dataset?.sources[value]?.name ?? `film ${value}`) : value;
        chips.push(this.chip(text, (f) => f.delete(name, value)));
      }
    }
    if (filters.has("from")) chip(`from ${clockOf(filters.get("from"))}`, "from");
    if (filters.has("to")) chip(`to ${clockOf(filters.get("to"))}`, "to");
    if (filters.has("measure")) chip(this.range(), "measure", "min", "max");
    if (filters.has("duplicates")) chip("near-duplicates", "duplicates");
    if (filters.has("group")) chip("one group", "group");
    return chips;
  }

  range() {
    const [name, min, max] = ["measure", "min", "max"].map((each) => this.filters.get(each));
    return `${min === null ? "" : `${min} ≤ `}${name.replaceAll("_", " ")}${max === null ? "" : ` ≤ ${max}`}`;
  }

  chip(text, without) {
    const button = make("button", { type: "button", class: "chip", "aria-label": `remove filter: ${text}` });
    button.append(make("span", {}, text), icon("close"));
    button.addEventListener("click", () => {
      const filters = new URLSearchParams(this.filters);
      without(filters);
      this.change(filters, false);
    });
    return button;
  }

  changed(input) {
    if (input.type === "checkbox" && LISTS.includes(input.name)) {
      const filters = new URLSearchParams(this.filters);
      if (input.checked) filters.append(input.name, input.value);
      else filters.delete(input.name, input.value);
      this.change(filters, false);
    } else if (input.type === "checkbox" && input.name) this.put(input.name, input.checked ? input.value : "");
    else if (input.type === "radio" && input.name) this.put(input.name, input.value);
    else if (input.name === "from" || input.name === "to") this.time(input);
    else if (input.name === "min" || input.name === "max") {
      if (input.checkValidity()) this.put(input.name, input.value);
    } else if (input.name === "measure") this.put("measure", input.value);
  }

  time(input) {
    const seconds = input.value.trim() ? secondsOf(input.value) : "";
    input.setAttribute("aria-invalid", String(seconds === null));
    if (seconds !== null) this.put(input.name, String(seconds));
  }

  put(name, value, replace = false) {
    if ((this.filters.get(name) ?? "") === value) return;
    const filters = new URLSearchParams(this.filters);
    if (value) filters.set(name, value);
    else filters.delete(name);
    if (name === "measure") ["min", "max"].forEach((bound) => filters.delete(bound));
    if (name === "sort") filters.delete("desc");
    this.change(filters, replace);
  }

  /** Show everything; the order stays. */
  clear() {
    const filters = new URLSearchParams(this.filters);
    for (const name of NAMES) if (!ORDER.includes(name)) filters.delete(name);
    byId("q").value = "";
    this.change(filters, false);
  }
}

const option = ([value, label]) => make("option", { value }, label);

function clockOf(value) {
  const seconds = Number(value);
  return Number.isFinite(seconds) ? clock(seconds, seconds % 1 !== 0) : value;
}

function box(name, value, label) {
  const input = make("input", { type: "checkbox", name, value });
  return make("label", { class: "box" }, input, make("span", { class: "label", title: label }, label), make("span", { class: "number" }));
}
