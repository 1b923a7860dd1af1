// The values of an answer, with how sure the model is of each, beside the document that they are quoted from.

import { $, bar, empty, grid, make } from "./dom.js";
import { percent } from "./words.js";

const HEADS = [["Value of"], ["is"], ["probability"]];

export const clearValues = () => $("values").replaceChildren(empty("Values of a record come here, with how sure the model is of each."));

/** end: what the server says at the end of an answer. prompt: what it quotes. */
export function showValues(end, prompt) {
  let value;
  try {
    value = JSON.parse(end.text);
  } catch {
    return $("values").replaceChildren(empty("This answer is no record."));
  }
  const { marks, source } = quoted(prompt, end.offsets);
  const found = [...leaves(value)];
  const table = grid(HEADS, found.map(([pointer, leaf]) => [pointer || "/", JSON.stringify(leaf), sureness(end.confidence[pointer])]));
  found.forEach(([pointer], place) => link(table.tBodies[0].rows[place], marks.get(pointer)));
  $("values").replaceChildren(table, ...source);
}

/** [JSON pointer, value] of every leaf. */
function* leaves(value, pointer = "") {
  const inner = value !== null && typeof value === "object" ? Object.entries(value) : null;
  if (!inner?.length) yield [pointer, value];
  else for (const [name, one] of inner) yield* leaves(one, `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);
}

const sureness = (sure) => (sure === undefined ? "–" : make("span", {}, bar("meter", sure), percent(sure)));

/** Pointing at a value's row shows its quote. */
function link(row, mark) {
  if (!mark) return;
  row.addEventListener("pointerenter", () => { mark.classList.add("here"); mark.scrollIntoView({ block: "nearest" }); });
  row.addEventListener("pointerleave", () => mark.classList.remove("here"));
}

/** The prompt with its quotes marked, by JSON pointer. Offsets count characters, which are not JavaScript's units. */
function quoted(prompt, offsets) {
  const marks = new Map();
  const quotes = Object.entries(offsets).sort(([, a], [, b]) => a[0] - b[0]);
  if (!quotes.length) return { marks, source: [] };
  const characters = Array.from(prompt);
  const text = (start, stop) => characters.slice(start, stop).join("");
  const parts = [];
  let at = 0;
  for (const [pointer, [start, stop]] of quotes) {
    if (start < at) continue;
    const mark = make("mark", { title: pointer }, text(start, stop));
    marks.set(pointer, mark);
    parts.push(text(at, start), mark);
    at = stop;
  }
  const source = make("pre", { class: "source", "aria-label": "The document, quotes marked" }, ...parts, text(at));
  return { marks, source: [source] };
}
