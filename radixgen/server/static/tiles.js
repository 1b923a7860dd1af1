// What the engine did, a tile for each figure with a line of the last two minutes.

import { $, bar, make } from "./dom.js";
import { count, percent, seconds, share } from "./words.js";

const HISTORY = 120;
const SHORTEST = 20; // readings that a line is drawn for at least, so that the first few are no wall
const SVG = "http://www.w3.org/2000/svg";
const history = { written: [], computed: [], running: [], hits: [], first: [], per: [] };
let before = null;

function push(name, value) {
  history[name].push(value);
  if (history[name].length > HISTORY) history[name].shift();
}

/** Keep a reading, and rates since the one before. A restarted worker counts from nothing: a rate of 0 then. */
export function note(state) {
  const now = performance.now() / 1000;
  const values = state.worker;
  const passed = before && now - before.now;
  const gained = (name) => Math.max(0, values[name] - before.values[name]);
  if (before && passed > 0.2) {
    push("written", (gained("scheduler.sampled_tokens") + gained("scheduler.forced_tokens")) / passed);
    push("computed", gained("scheduler.computed_tokens") / passed);
    const prompt = gained("scheduler.prompt_tokens");
    push("hits", prompt ? Math.min(1, gained("scheduler.cached_tokens") / prompt) : (history.hits.at(-1) ?? 0));
  }
  push("running", values["scheduler.num_running"]);
  push("first", state.latency.first_s.p50 ?? 0);
  push("per", state.latency.per_token_s.p50 ?? 0);
  before = { now, values };
}

/** A line of values on their way to now, at the right. most: what the line's top stands for at least. */
function spark(values, most = 1e-9) {
  const span = Math.max(SHORTEST, values.length);
  const from = span - values.length;
  const top = Math.max(most, ...values);
  const svg = draw("svg", { viewBox: `0 0 ${span - 1} 30`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (values.length < 2) return svg;
  const points = values.map((value, place) => `${from + place} ${(29 - (27 * value) / top).toFixed(1)}`);
  const line = `M${points.join("L")}`;
  svg.append(draw("path", { d: `${line}L${span - 1} 30L${from} 30Z`, class: "under" }), draw("path", { d: line }));
  return svg;
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function tile(name, value, unit, more, drawing) {
  return make("div", { class: "tile" }, make("h2", {}, name),
    make("strong", {}, value, " ", make("small", {}, unit)), make("p", {}, more), drawing);
}

/** state: as /admin/state tells it, with a worker. */
export function tiles({ worker, latency, max_rows }) {
  $("tiles").replaceChildren(...flow(worker, max_rows), ...speed(latency), ...stores(worker));
}

/** What runs, is written and is computed, and what the cache spares. */
function flow(values, max_rows) {
  const waiting = values["scheduler.num_waiting"] + values["requests.num_preparing"]; // in the queue, or on its way to it
  const forced = values["scheduler.forced_tokens"];
  const written = values["scheduler.sampled_tokens"] + forced;
  const cached = values["cache.cached_tokens"];
  return [
    tile("Running", count(values["scheduler.num_running"]), `of ${count(max_rows)}`, `${count(waiting)} waiting`, spark(history.running)),
    tile("Written", count(history.written.at(-1) ?? 0), "tokens/s", `${percent(share(forced, written))} of ${count(written)} forced`, spark(history.written)),
    tile("Computed", count(history.computed.at(-1) ?? 0), "tokens/s", `${count(values["scheduler.computed_tokens"])} in all`, spark(history.computed)),
    tile("Found in cache", percent(share(cached, values["cache.prompt_tokens"])), "of prompts", `${count(cached)} tokens spared`, spark(history.hits, 1)),
  ];
}

function speed({ first_s: first, per_token_s: per }) {
  const worst = (told) => `p99 ${seconds(told.p99)}, last minute`;
  return [
    tile("First token", seconds(first.p50), "p50", worst(first), spark(history.first)),
    tile("Per token", seconds(per.p50), "p50", worst(per), spark(history.per)),
  ];
}

/** How full the KV pool is, and what compiling masks takes. */
function stores(values) {
  const slots = values["cache.num_slots"];
  const filled = slots - values["cache.num_free"];
  const kept = values["cache.num_idle"];
  const asked = values["mask.num_compiled"];
  const known = values["mask.num_found"];
  return [
    tile("KV pool", percent(filled / slots, 1), `of ${count(slots)}`, `${count(filled - kept)} used, ${count(kept)} kept`, bar("meter", filled / slots)),
    tile("Compiling", seconds(share(values["mask.compile_s"], asked - known)), "each", `${count(known)} of ${count(asked)} known already`, bar("meter", share(known, asked))),
  ];
}
