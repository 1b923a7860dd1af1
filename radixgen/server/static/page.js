// The page: a playground, and the engine as it works. One file, no library; whatever comes from a server, a model or a
// document becomes text nodes only.
"use strict";

const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// ---------------------------------------------------------------- talking to the server

const KEY = "radixgen-key";

class Refused extends Error {
  constructor(message, status, retry) {
    super(message);
    this.status = status;
    this.retry = retry;
  }
}

/** A response that is fine. Throws `Refused` with what the server says. */
async function ask(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { headers, signal, method: body === undefined ? "GET" : "POST", body: body && JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer.", 0);
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  if (response.status === 401) $("key-open").hidden = false;
  let text = told?.error?.message ?? `The server answers ${response.status}.`;
  if (response.status >= 500) text += ` (${response.headers.get("x-request-id")})`;
  throw new Refused(text, response.status, Number(response.headers.get("Retry-After")) || 1);
}

const get = async (path, body, signal) => (await ask(path, body, signal)).json();

/** Server-sent events of one response, as they come. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const data = piece.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

// ---------------------------------------------------------------- small things

/** A bar that is so full. */
function bar(kind, share) {
  const inner = make("i");
  inner.style.width = `${Math.min(100, 100 * share).toFixed(1)}%`;
  return make("span", { class: kind }, inner);
}

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
const count = (number) => Math.round(number).toLocaleString("en");

function seconds(value) {
  if (value === undefined) return "–";
  if (value < 0.9995) return `${(1000 * value).toFixed(value < 0.01 ? 1 : 0)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  return value < 86400 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(1)} d`;
}

/** Text with its white space to be seen. */
const visible = (text) => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "·");

/** One of some buttons is chosen; arrow keys go on, as in any radio group. */
function segments(id, choose) {
  const group = $(id);
  const buttons = [...group.querySelectorAll("button")];
  const set = (value) => {
    for (const button of buttons) {
      const is = button.dataset.value === value;
      button.setAttribute("aria-checked", String(is));
      button.tabIndex = is ? 0 : -1;
    }
    group.dataset.value = value;
  };
  for (const button of buttons) button.addEventListener("click", () => { set(button.dataset.value); choose(button.dataset.value); });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = buttons[(buttons.findIndex((one) => one.tabIndex === 0) + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  return { set, get value() { return group.dataset.value; } };
}

const tip = $("tip");

/** Show a tip beside a rectangle of the window, where there is room. */
function showTip(box, ...content) {
  tip.replaceChildren(...content);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const below = box.bottom + height + 14 < innerHeight || box.top < height + 14;
  tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  tip.style.top = `${below ? box.bottom + 8 : box.top - height - 8}px`;
}
const hideTip = () => { tip.hidden = true; };

function table(target, heads, rows, empty) {
  if (!rows.length) return $(target).replaceChildren(make("p", { class: "empty" }, empty));
  const numeric = heads.map(([, isNumber]) => (isNumber ? { class: "num" } : {}));
  const head = make("tr", {}, ...heads.map(([name], place) => make("th", { ...numeric[place], scope: "col" }, name)));
  const lines = rows.map((row) => make("tr", {}, ...row.map((cell, place) => make("td", numeric[place], cell))));
  $(target).replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines)));
}

/** What went wrong; mild: what is to be known. */
function notice(id, text, isMild = false) {
  $(id).classList.toggle("mild", isMild);
  $(id).textContent = text ?? "";
  $(id).hidden = !text;
}

function health(state, text) {
  $("health").dataset.state = state;
  $("health").textContent = text;
}

// ---------------------------------------------------------------- playground: what is asked

const BILL = `Dear Mr. Okafor,

thank you for your order of 3 March. Greenleaf Tools Ltd has sent
you six bow saws and two mortise chisels today, with invoice GT-20418.
The total of 181.68 GBP is due by 13 April 2025.

Greenleaf Tools Ltd, 12 Mill Lane, Bristol`;

const MAIL = `From: Annelie Wikström <annelie@letterbox.example>
Date: Tue, 4 Feb 2025 06:52
Subject: Refund for my kettle

Hello,

I bought the Morningside Swan kettle before Christmas, order MH-558120.
It began to drip in the second week, and this morning the counter was
under water. Please refund my 64.90.

Annelie Wikström`;

/** JSON with a line for each property and no more. */
function laid(value, depth = 0) {
  if (value === null || typeof value !== "object" || depth > 1) {
    return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/([[{]) | ([\]}])/g, "$1$2");
  }
  const pad = "  ".repeat(depth + 1);
  if (Array.isArray(value)) return `[${value.map((one) => laid(one, 2)).join(", ")}]`;
  const lines = Object.entries(value).map(([name, one]) => `${pad}${JSON.stringify(name)}: ${laid(one, depth + 1)}`);
  return `{\n${lines.join(",\n")}\n${pad.slice(2)}}`;
}

const record = (properties) => laid({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });

const PRESETS = {
  "Bill to record": {
    mode: "extract", prompt: BILL, kind: "schema", verbatim: true,
    constraint: record({
      vendor: { type: "string" }, invoice_number: { type: "string" }, total: { type: "number" },
      due_date: { type: ["string", "null"] }, discount: { type: ["number", "null"] },
    }),
  },
  "Support mail to record": {
    mode: "extract", prompt: MAIL, kind: "schema", verbatim: true,
    constraint: record({
      sender_name: { type: "string" }, product: { type: "string" }, order_number: { type: ["string", "null"] },
      category: { enum: ["defect", "billing", "account", "question"] }, wants_refund: { type: "boolean" },
    }),
  },
  "Patterns, ranges, a list": {
    mode: "extract", prompt: MAIL, kind: "schema", verbatim: false,
    constraint: record({
      order_number: { type: "string", pattern: "^[A-Z]{2}-\\d{6}$" },
      product: { type: "string", minLength: 3, maxLength: 30 },
      topics: { type: "array", items: { enum: ["refund", "repair", "delivery"] }, minItems: 1, maxItems: 2, uniqueItems: true },
    }),
  },
  "By a regex": {
    mode: "extract", system: "Fields:\ninvoice_number: string", prompt: BILL, kind: "regex",
    constraint: "\\{\"invoice_number\":\"[A-Z]{2}-\\d{5}\"\\}", max_tokens: 48,
  },
  "By a grammar": {
    mode: "extract", system: "Fields:\norder_number: string\nwants_refund: boolean", prompt: MAIL, kind: "grammar",
    constraint: `start: "{" order "," refund "}"
order: "\\"order_number\\":\\"" /[A-Z]{2}-[0-9]{6}/ "\\""
refund: "\\"wants_refund\\":" ("true" | "false")`, max_tokens: 64,
  },
  "One of some choices": {
    mode: "extract", system: "Fields:\ncategory: defect|billing|account|question", prompt: MAIL, kind: "choices",
    constraint: ["defect", "billing", "account", "question"].map((one) => `{"category":"${one}"}`).join("\n"), max_tokens: 32,
  },
};

const DRAFT = "radixgen-draft";
const DRAFTED = ["system", "prompt", "constraint", "max_tokens", "temperature", "top_p", "seed"];
const PLACEHOLDERS = {
  schema: "{\"type\": \"object\", \"properties\": {...}}", regex: "[A-Z]{2}-\\d+", grammar: "start: ...   (Lark, or GBNF with ::=)",
  choices: "one choice a line", none: "",
};
const INSTRUCTIONS = "Read the document and answer with JSON that fits this schema. Copy values exactly as they are "
  + "written. Use null for what the document does not say.";

let model = { reads_fields: false, name: "" };
const mode = segments("mode", () => { dress(); changed(); });
const kind = segments("kind", () => { $("constraint").value = kept[kind.value] ?? ""; dress(); changed(); });
/** What was typed for each kind of constraint, so that looking at another loses nothing. */
const kept = {};

function dress() {
  $("prompt-label").textContent = { extract: "Document", chat: "Message", text: "Prompt" }[mode.value];
  $("system-field").hidden = mode.value === "text";
  $("verbatim-field").hidden = kind.value !== "schema";
  $("constraint").hidden = kind.value === "none";
  $("constraint").placeholder = PLACEHOLDERS[kind.value];
}

function preset(name) {
  const chosen = { system: "", verbatim: false, max_tokens: 256, ...PRESETS[name] };
  for (const id of ["system", "prompt", "constraint", "max_tokens"]) $(id).value = chosen[id];
  kept[chosen.kind] = chosen.constraint;
  $("verbatim").checked = chosen.verbatim;
  mode.set(chosen.mode);
  kind.set(chosen.kind);
  dress();
  changed();
}

function keepDraft() {
  const draft = { mode: mode.value, kind: kind.value, verbatim: $("verbatim").checked, preset: $("preset").value };
  for (const id of DRAFTED) draft[id] = $(id).value;
  sessionStorage.setItem(DRAFT, JSON.stringify(draft));
}

function takeDraft() {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
  if (!draft) return preset(Object.keys(PRESETS)[0]);
  for (const id of DRAFTED) $(id).value = draft[id];
  $("verbatim").checked = draft.verbatim;
  $("preset").value = draft.preset;
  mode.set(draft.mode);
  kind.set(draft.kind);
  kept[draft.kind] = draft.constraint;
  dress();
  changed();
}

/** The constraint as the API's fields. Throws what is wrong with it. */
function constraint() {
  const text = $("constraint").value;
  if (kind.value === "none" || !text.trim()) return {};
  if (kind.value === "regex") return { regex: text };
  if (kind.value === "grammar") return { grammar: text };
  if (kind.value === "choices") return { choice: text.split("\n").filter((line) => line.trim()) };
  const schema = { name: "answer", strict: true, schema: JSON.parse(text) };
  const verbatim = $("verbatim").checked ? { verbatim: true } : {};
  return { response_format: { type: "json_schema", json_schema: schema }, ...verbatim };
}

/** The path of the API and the body that the form stands for. */
function asked() {
  const body = { model: model.name, max_tokens: Number($("max_tokens").value), temperature: Number($("temperature").value) };
  if (Number($("top_p").value) !== 1) body.top_p = Number($("top_p").value);
  if ($("seed").value !== "") body.seed = Number($("seed").value);
  Object.assign(body, constraint());
  if (mode.value === "text") return { path: "completions", body: { ...body, prompt: $("prompt").value } };
  let system = $("system").value.trim();
  if (mode.value === "extract" && body.response_format && !model.reads_fields) {
    const schema = JSON.stringify(body.response_format.json_schema.schema);
    system = `${system || INSTRUCTIONS}\n\nSchema:\n${schema}`;
  }
  const messages = [{ role: "user", content: $("prompt").value }];
  if (system) messages.unshift({ role: "system", content: system });
  return { path: "chat/completions", body: { ...body, messages } };
}

function curl() {
  try {
    const { path, body } = asked();
    const quoted = laid(body).replaceAll("'", "'\\''");
    const key = sessionStorage.getItem(KEY) ? " \\\n  -H \"Authorization: Bearer $RADIXGEN_API_KEY\"" : "";
    $("curl").textContent = `curl ${location.origin}/v1/${path} -H "Content-Type: application/json"${key} \\\n  -d '${quoted}'`;
  } catch {
    $("curl").textContent = "The constraint cannot be read.";
  }
}

// ---------------------------------------------------------------- playground: what check says

const CHECK_AFTER_MS = 250;
let checkTimer = 0;
let checking = new AbortController();

function changed() {
  keepDraft();
  kept[kind.value] = $("constraint").value;
  clearTimeout(checkTimer);
  checkTimer = setTimeout(check, CHECK_AFTER_MS);
  if ($("curl").parentElement.open) curl();
}

async function check() {
  checking.abort();
  const mine = (checking = new AbortController());
  let given;
  try {
    given = constraint();
  } catch (error) {
    return said([["refused", "", "", `Not JSON yet: ${error.message}`]]);
  }
  if (!Object.keys(given).length) return said([]);
  try {
    const limit = Math.max(1, Number($("max_tokens").value) || 1);
    const told = await get("/playground/check", { ...given, document: $("prompt").value, max_tokens: limit }, mine.signal);
    said([...summary(told), ...told.findings.filter((one) => one.kind !== "enforced").map(finding)]);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 429) checkTimer = setTimeout(check, 1000 * error.retry);
    else said([["refused", "", "", error.message]]);
  }
}

const finding = (one) => [one.kind, one.where, one.what, one.note];

/** One line that says how it stands. */
function summary(told) {
  if (told.is_refused) return [];
  if (told.problem) return [["refused", "", "", told.problem]];
  if (told.is_too_small) return [["refused", "", "", `No answer fits in so few tokens; ${told.sure} are certainly enough.`]];
  const enforced = new Set(told.findings.filter((one) => one.kind === "enforced").map((one) => one.what));
  const words = [...enforced].slice(0, 12).join(", ");
  const text = words ? `Enforced: ${words}${enforced.size > 12 ? " …" : "."}` : "Enforced as a whole.";
  return [["good", "", "", `${text} ${told.sure} tokens are enough for an answer.`]];
}

function said(lines) {
  $("findings").replaceChildren(...lines.map(([is, where, what, note]) => {
    const head = [where, what].filter(Boolean).map((part) => make("code", {}, part));
    const parts = head.flatMap((part, place) => (place ? [" ", part] : [part]));
    return make("p", { class: is }, ...parts, parts.length && note ? ": " : "", note);
  }));
}

// ---------------------------------------------------------------- playground: the answer

let answering = null;
let tokens = [];
let ended = null;
let shownPrompt = "";
let here = -1;
const shown = segments("shown", show);

function reset() {
  tokens = [];
  ended = null;
  here = -1;
  shownPrompt = $("prompt").value;
  hideTip();
  notice("notice", "");
  $("tokens").replaceChildren();
  $("figures").replaceChildren();
  show();
}

async function run() {
  if (answering) return;
  reset();
  answering = new AbortController();
  busy(true);
  const start = performance.now();
  try {
    const { path, body } = asked();
    const door = path === "completions" ? "/playground/text" : "/playground/chat";
    for await (const told of events(await ask(door, body, answering.signal))) {
      if (told.tokens) write(told.tokens);
      else if (told.end) finish(told.end);
      else if (told.error) throw new Refused(told.error.message, 500);
      if (!ended) figures({ tokens: tokens.length, started: start });
    }
    health("live", "");
  } catch (error) {
    if (error.name === "AbortError") notice("notice", "Stopped.", true);
    else notice("notice", error instanceof SyntaxError ? `The schema is not JSON: ${error.message}` : error.message);
    if (error.status === 401) openKey();
    health(error.status === 0 ? "gone" : "live", "");
  } finally {
    answering = null;
    busy(false);
  }
}

function busy(is) {
  $("run").disabled = is;
  $("stop").hidden = !is;
  $("tokens").classList.toggle("writing", is);
  $("tokens").setAttribute("aria-busy", String(is));
  if (is) health("busy", "writing");
}

function write(more) {
  for (const token of more) {
    if (!token.text && token.kind !== "free" && token.num_allowed === 1) continue; // the end mark
    const isAgainst = token.kind === "narrowed" && token.mass < 0.5;
    const classes = `tok ${token.kind}${isAgainst ? " against" : ""}`;
    $("tokens").append(make("span", { class: classes, "data-place": tokens.length }, token.text));
    tokens.push(token);
  }
  $("tokens").scrollTop = $("tokens").scrollHeight;
}

function finish(end) {
  ended = end;
  const places = end.closed.filter(Boolean).join(", ");
  if (end.sure) notice("notice", `No answer fits in so few tokens; ${end.sure} are certainly enough.`);
  else if (end.closed.length) notice("notice", `Cut short${places && ` at ${places}`} by the limit of tokens; it fits all the same.`, true);
  else if (end.finish_reason === "length") notice("notice", "Cut short by the limit of tokens.", true);
  if (end.usage) figures({ end });
  $("text").textContent = pretty(end.text);
  values(end);
}

function pretty(text) {
  try {
    return kind.value === "schema" ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    return text;
  }
}

function figures({ end, tokens: number, started }) {
  const rows = [];
  if (end) {
    const { usage } = end;
    const rate = usage.completion_tokens / Math.max(1e-9, usage.decode_s + usage.prefill_s);
    rows.push(["Tokens", count(usage.completion_tokens), ended.finish_reason]);
    rows.push(["Forced", percent(usage.forced_tokens / Math.max(1, usage.completion_tokens)), `${count(usage.forced_tokens)} tokens`]);
    rows.push(["First token", seconds(usage.queue_s + usage.prefill_s), ""]);
    rows.push(["Rate", count(rate), "tokens/s"]);
    rows.push(["Prompt", count(usage.prompt_tokens), `${count(usage.cached_tokens)} cached`]);
    if (kind.value !== "none") rows.push(["Mass left", percent(end.mass, end.mass > 0.1 ? 0 : 2), "of probability"]);
  } else {
    rows.push(["Tokens", count(number), ""], ["Time", seconds((performance.now() - started) / 1000), ""]);
  }
  $("figures").replaceChildren(...rows.map(([name, value, more]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value, " ", make("small", {}, more)))));
}

function show() {
  const view = shown.value;
  $("tokens").hidden = view !== "tokens";
  $("legend").hidden = view !== "tokens";
  $("text").hidden = view !== "text";
  $("values").hidden = view !== "values";
  if (!ended) {
    $("text").textContent = "";
    $("values").replaceChildren(make("p", { class: "empty" }, "Values of a record come here, with how sure the model is of each."));
  }
}

/** [JSON pointer, value] of every leaf. */
function* leaves(value, pointer = "") {
  const inner = value !== null && typeof value === "object" ? Object.entries(value) : null;
  if (!inner?.length) yield [pointer, value];
  else for (const [name, one] of inner) yield* leaves(one, `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);
}

function values(end) {
  let value;
  try {
    value = JSON.parse(end.text);
  } catch {
    return $("values").replaceChildren(make("p", { class: "empty" }, "This answer is no record."));
  }
  const marks = new Map();
  const rows = [...leaves(value)].map(([pointer, leaf]) => {
    const sure = end.confidence[pointer];
    const row = make("tr", {}, make("td", {}, pointer || "/"), make("td", {}, JSON.stringify(leaf)),
      make("td", {}, ...(sure === undefined ? ["–"] : [bar("meter", sure), percent(sure)])));
    const light = (is) => marks.get(pointer)?.classList.toggle("here", is);
    row.addEventListener("pointerenter", () => { light(true); marks.get(pointer)?.scrollIntoView({ block: "nearest" }); });
    row.addEventListener("pointerleave", () => light(false));
    return row;
  });
  const head = make("tr", {}, ...["Value of", "is", "probability"].map((name) => make("th", { scope: "col" }, name)));
  $("values").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)), ...source(end.offsets, marks));
}

/** The document with its quotes marked. Offsets count characters, which are not JavaScript's units. */
function source(offsets, marks) {
  const quotes = Object.entries(offsets).sort(([, a], [, b]) => a[0] - b[0]);
  if (!quotes.length) return [];
  const characters = Array.from(shownPrompt);
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
  return [make("pre", { class: "source", "aria-label": "The document, quotes marked" }, ...parts, text(at))];
}

/** What is known of one token. */
function aboutToken(token) {
  const within = token.mass > 0 ? Math.min(1, token.probability / token.mass) : 0;
  const how = {
    forced: "Forced: no other token fits, the model was not asked.",
    narrowed: `One of ${count(token.num_allowed)} that fit; ${percent(within, 1)} among these.`,
    free: "Free: any token would do.",
  }[token.kind];
  const content = [make("b", {}, `“${visible(token.text)}”`), make("p", {}, how)];
  if (token.kind === "narrowed") content.push(make("p", {}, `The model gave ${percent(token.mass, 1)} of its probability to what fits.`));
  if (token.likely.length) {
    const chosen = token.likely.some(([text]) => text === token.text) ? token.likely : [...token.likely, [token.text, token.probability]];
    content.push(make("div", { class: "rank" }, ...chosen.map(([text, probability]) => {
      return make("div", { class: text === token.text ? "is" : "" }, make("code", {}, visible(text) || "end"), bar("thin", probability), make("span", {}, percent(probability, 1)));
    })));
  }
  return content;
}

function pointAt(place) {
  const spans = $("tokens").children;
  spans[here]?.classList.remove("here");
  here = Math.max(0, Math.min(place, spans.length - 1));
  const span = spans[here];
  if (!span) return;
  span.classList.add("here");
  span.scrollIntoView({ block: "nearest" });
  showTip(span.getClientRects()[0] ?? span.getBoundingClientRect(), ...aboutToken(tokens[here]));
}

$("tokens").addEventListener("pointerover", (event) => {
  const place = event.target.dataset?.place;
  if (place === undefined) return hideTip();
  const boxes = [...event.target.getClientRects()];
  const box = boxes.find((one) => event.clientY >= one.top - 2 && event.clientY <= one.bottom + 2) ?? boxes[0];
  if (box) showTip(box, ...aboutToken(tokens[place]));
});
$("tokens").addEventListener("pointerleave", hideTip);
$("tokens").addEventListener("blur", () => { $("tokens").children[here]?.classList.remove("here"); hideTip(); });
$("tokens").addEventListener("keydown", (event) => {
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tokens.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  pointAt(to);
});

// ---------------------------------------------------------------- the engine: figures

const HISTORY = 120;
const SHORTEST = 20; // readings that a line is drawn for at least, so that the first few are no wall
const history = { written: [], computed: [], running: [], hits: [], first: [], per: [] };
let before = null;

function push(name, value) {
  const list = history[name];
  list.push(value);
  if (list.length > HISTORY) list.shift();
}

/** What has not begun: in the queue, or on its way to it. */
const waiting = (values) => values["scheduler.num_waiting"] + values["requests.num_preparing"];

/** Rates from two readings of the worker's counters. A restarted worker counts from nothing: no rate then. */
function note(state) {
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

const SVG = "http://www.w3.org/2000/svg";

function spark(values, most) {
  const svg = document.createElementNS(SVG, "svg");
  const span = Math.max(SHORTEST, values.length);
  svg.setAttribute("viewBox", `0 0 ${span - 1} 30`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const top = Math.max(most ?? 0, ...values, 1e-9);
  const from = span - values.length;
  const line = values.map((value, place) => `${place ? "L" : "M"}${from + place} ${(29 - (27 * value) / top).toFixed(1)}`).join("");
  if (values.length > 1) {
    for (const [kind, d] of [["under", `${line}L${span - 1} 30L${from} 30Z`], ["", line]]) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      if (kind) path.setAttribute("class", kind);
      svg.append(path);
    }
  }
  return svg;
}

function tile(name, value, unit, more, drawing) {
  return make("div", { class: "tile" }, make("h2", {}, name),
    make("strong", {}, value, " ", make("small", {}, unit)), make("p", {}, more), drawing);
}

function tiles(state) {
  const values = state.worker;
  const { latency } = state;
  const slots = values["cache.num_slots"];
  const free = values["cache.num_free"];
  const idle = values["cache.num_idle"];
  const rate = values["cache.cached_tokens"] / Math.max(1, values["cache.prompt_tokens"]);
  const written = values["scheduler.sampled_tokens"] + values["scheduler.forced_tokens"];
  $("tiles").replaceChildren(
    tile("Running", count(values["scheduler.num_running"]), `of ${count(state.max_rows)}`, `${count(waiting(values))} waiting`, spark(history.running)),
    tile("Written", count(history.written.at(-1) ?? 0), "tokens/s", `${percent(values["scheduler.forced_tokens"] / Math.max(1, written))} of ${count(written)} forced`, spark(history.written)),
    tile("Computed", count(history.computed.at(-1) ?? 0), "tokens/s", `${count(values["scheduler.computed_tokens"])} in all`, spark(history.computed)),
    tile("Found in cache", percent(rate), "of prompts", `${count(values["cache.cached_tokens"])} tokens spared`, spark(history.hits, 1)),
    tile("First token", seconds(latency.first_s.p50), "p50", `p99 ${seconds(latency.first_s.p99)}, last minute`, spark(history.first)),
    tile("Per token", seconds(latency.per_token_s.p50), "p50", `p99 ${seconds(latency.per_token_s.p99)}, last minute`, spark(history.per)),
    tile("KV pool", percent((slots - free) / slots, 1), `of ${count(slots)}`, `${count(slots - free - idle)} used, ${count(idle)} kept`, bar("meter", (slots - free) / slots)),
    tile("Compiling", seconds(values["mask.compile_s"] / Math.max(1, values["mask.num_compiled"] - values["mask.num_found"])), "each",
      `${count(values["mask.num_found"])} of ${count(values["mask.num_compiled"])} known already`, bar("meter", values["mask.num_found"] / Math.max(1, values["mask.num_compiled"]))),
  );
}

function tables(state) {
  const rows = state.requests.map((one) => [
    make("span", { class: `state ${one.state}` }, one.state), one.namespace, one.constraint || "–",
    `${count(one.prompt_tokens)} (${count(one.cached_tokens)})`, `${count(one.completion_tokens)} / ${count(one.max_tokens * one.num_outputs)}`, seconds(one.age_s),
  ]);
  if (state.num_requests_left_out) rows.push([`and ${count(state.num_requests_left_out)} more`, "", "", "", "", ""]);
  table("requests", [["state"], ["namespace"], ["constraint"], ["prompt (cached)", 1], ["written", 1], ["age", 1]], rows, "Nothing is open.");
  table("namespaces", [["namespace"], ["tokens kept", 1], ["nodes", 1], ["requests", 1], ["found", 1]],
    state.namespaces.map((one) => [one.name, count(one.num_cached), count(one.num_nodes), count(one.num_requests),
      percent(one.cached_tokens / Math.max(1, one.prompt_tokens))]), "The cache is empty.");
  table("constraints", [["constraint"], ["answers", 1], ["p50", 1], ["p1", 1]],
    state.constraints.map((one) => [make("code", {}, one.name), count(one.num_answers), percent(one.p50, 1), percent(one.p1, 1)]),
    "No constrained answer yet.");
  table("refusals", [["error"], ["keyword or limit"], ["times", 1]],
    state.refusals.map((one) => [one.error, one.keyword || "–", count(one.count)]), "No constraint was refused.");
}

// ---------------------------------------------------------------- the engine: the tree

const canvas = $("tree");
const ROOT_SCALE = 0.5; // widths grow with the root of tokens, so that long documents leave room for what they share
const LEAF_MOST_PX = 26;
const USUAL_PX = 430;
const NAMESPACE_LEAST_PX = 32;
const ON_COLOR = "#0b1513"; // on a full color, in either theme
let tree = { nodes: [], roots: [], isRead: false };
let boxes = [];
let focus = null; // the key of the node that fills the picture; null: all
let chosen = null; // the node under the pointer or the arrow keys

/** Rows of the server to nodes that know children, leaves and depth. */
function grow(told) {
  const nodes = told.nodes.map((row) => ({ ...Object.fromEntries(told.fields.map((name, place) => [name, row[place]])), children: [], leaves: 0 }));
  const roots = told.namespaces.map((name) => ({ name, start: 0, end: 0, children: [], leaves: 0, isRoot: true, key: `${name}:` }));
  for (const node of nodes) {
    const parent = node.parent < 0 ? roots[node.namespace] : nodes[node.parent];
    node.above = parent;
    node.key = `${roots[node.namespace].name}:${node.end}:${node.text}`;
    parent.children.push(node);
  }
  for (const node of [...nodes].reverse()) {
    node.leaves = Math.max(1, node.leaves);
    node.above.leaves += node.leaves;
    node.isInUse ||= node.num_holds > 0;
    node.above.isInUse ||= node.isInUse;
  }
  for (const node of [...roots, ...nodes]) node.children.sort((a, b) => b.leaves - a.leaves || b.num_uses - a.num_uses);
  tree = { nodes, roots, isRead: true };
}

/** Where everything stands: x by tokens, y by leaves. */
function layout(width, height) {
  boxes = [];
  const wanted = $("tree-namespace").value;
  const roots = tree.roots.filter((root) => !wanted || root.name === wanted);
  const inFocus = focus && tree.nodes.find((node) => node.key === focus);
  const tops = inFocus ? [inFocus] : roots;
  const start = inFocus ? inFocus.start : 0;
  const far = Math.max(1, ...tops.map(reach)) - start;
  const x = (tokens) => 6 + (width - 12) * ((tokens - start) / far) ** ROOT_SCALE;
  const leaves = tops.reduce((sum, top) => sum + top.leaves, 0);
  const gap = inFocus ? 0 : 20;
  const unit = Math.min(LEAF_MOST_PX, (height - 22 - gap * tops.length) / Math.max(1, leaves));
  let y = 4;
  for (const top of tops) {
    const label = top.isRoot ? { text: top.name, y: y + 12 } : null;
    if (label) boxes.push({ label });
    y += top.isRoot ? gap - 2 : 0;
    place(top, y, unit, x);
    y += top.leaves * unit + (top.isRoot ? 4 : 0);
  }
  return { x, start, far };
}

function reach(node) {
  return Math.max(node.end, ...node.children.map(reach));
}

function place(node, y, unit, x) {
  if (!node.isRoot) boxes.push({ node, x: x(node.start), y, width: x(node.end) - x(node.start), height: node.leaves * unit });
  let at = y;
  for (const child of node.children) {
    place(child, at, unit, x);
    at += child.leaves * unit;
  }
}

function draw() {
  if ($("view-engine").hidden) return;
  const needed = 24 + NAMESPACE_LEAST_PX * (focus ? 0 : tree.roots.length);
  canvas.style.height = needed > USUAL_PX ? `${needed}px` : "";
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.querySelector(".swatch.one"));
  const colors = {
    ...Object.fromEntries(["one", "few", "many"].map((name) => [name, getComputedStyle(document.querySelector(`.swatch.${name}`)).backgroundColor])),
    ink: getComputedStyle(document.body).color, soft: getComputedStyle($("tree-count")).color, mono: getComputedStyle($("constraint")).fontFamily, sans: style.fontFamily,
  };
  const { x, start, far } = layout(width, height);
  if (!tree.nodes.length) {
    pen.fillStyle = colors.soft;
    pen.font = `14px ${colors.sans}`;
    if (tree.isRead) pen.fillText("The cache is empty. Whatever is asked leaves its prefix here.", 16, 30);
    return;
  }
  for (const box of boxes) box.label ? drawLabel(pen, box.label, colors) : drawNode(pen, box, colors);
  drawAxis(pen, x, start, far, height, colors);
}

function drawLabel(pen, label, colors) {
  pen.fillStyle = colors.soft;
  pen.font = `600 11.5px ${colors.sans}`;
  pen.fillText(label.text, 7, label.y);
}

function drawNode(pen, { node, x, y, width, height }, colors) {
  const gap = height > 4 ? 1 : 0.25;
  const box = [x + 0.5, y + gap / 2, Math.max(1, width - 1), Math.max(0.5, height - gap)];
  const age = node.isInUse ? 0 : node.idle_s;
  const alpha = Math.max(0.3, 0.95 - 0.13 * Math.log2(1 + age / 15));
  pen.globalAlpha = alpha;
  pen.fillStyle = node.num_uses > 8 ? colors.many : node.num_uses > 1 ? colors.few : colors.one;
  pen.beginPath();
  pen.roundRect(...box, Math.min(4, height / 3));
  pen.fill();
  pen.globalAlpha = 1;
  if (node.num_holds || node.is_pinned || node === chosen) {
    pen.strokeStyle = colors.ink;
    pen.lineWidth = node === chosen ? 2.2 : 1.6;
    pen.setLineDash(node.is_pinned && !node.num_holds && node !== chosen ? [4, 3] : []);
    pen.stroke();
    pen.setLineDash([]);
  }
  if (height >= 12.5 && width > 34) {
    pen.save();
    pen.beginPath();
    pen.rect(...box);
    pen.clip();
    pen.fillStyle = alpha > 0.6 ? ON_COLOR : colors.ink;
    pen.font = `10.5px ${colors.mono}`;
    pen.fillText(node.text.replace(/\s+/g, " ").trimStart(), x + 6, y + Math.min(height / 2, 13) + 3.5);
    pen.restore();
  }
}

function drawAxis(pen, x, start, far, height, colors) {
  pen.fillStyle = colors.soft;
  pen.font = `10.5px ${colors.sans}`;
  let last = -99;
  for (const part of [0, 0.01, 0.04, 0.1, 0.2, 0.35, 0.5, 0.7, 1]) {
    const tokens = Math.round(start + far * part);
    const label = count(tokens) + (part === 1 ? " tokens" : "");
    const width = pen.measureText(label).width;
    const at = Math.min(x(tokens), canvas.clientWidth - width - 8);
    if (at < last + 14) continue;
    pen.fillText(label, at, height - 5);
    last = at + width;
  }
}

const boxOf = (node) => boxes.find((box) => box.node === node);

function boxAt(event) {
  const { left, top } = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - left, event.clientY - top];
  return boxes.find((box) => box.node && x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height);
}

function aboutNode(node) {
  const more = node.end - node.start > 32 ? " …" : "";
  const held = node.num_holds ? `in use by ${count(node.num_holds)}` : node.isInUse ? "in use farther on" : `unused for ${seconds(node.idle_s)}`;
  const state = [held, node.is_pinned && "pinned", node.is_pending && "being computed", node.eviction_order !== null && `number ${count(node.eviction_order + 1)} to be forgotten`];
  return [
    make("b", {}, node.text.slice(0, 240) + more),
    make("p", {}, `${count(node.end - node.start)} tokens, ${count(node.start)} to ${count(node.end)}; ${count(node.children.length)} ways on`),
    make("p", {}, `${count(node.num_uses)} requests had it: found ${count(Math.max(0, node.num_uses - 1))} times`),
    make("p", {}, state.filter(Boolean).join(", ")),
  ];
}

function choose(node, say) {
  chosen = node;
  draw();
  const box = node && boxOf(node);
  if (!box) return hideTip();
  const { left, top } = canvas.getBoundingClientRect();
  const at = { left: left + box.x, top: top + box.y, bottom: top + Math.min(box.y + box.height, box.y + 40) };
  const content = aboutNode(node);
  if (say) $("tree-said").textContent = content.map((part) => part.textContent).join(". ");
  showTip(at, ...content);
}

function zoom(node) {
  focus = node && !node.isRoot ? node.key : null;
  $("tree-out").disabled = !focus;
  hideTip();
  draw();
}

function zoomOut() {
  const node = focus && tree.nodes.find((one) => one.key === focus);
  zoom(node?.above);
}

/** The next node for an arrow key: into, out of, or beside. */
function beside(key) {
  if (!chosen || !boxOf(chosen)) return boxes.find((box) => box.node)?.node;
  const among = chosen.above.children;
  const at = among.indexOf(chosen);
  return { ArrowRight: chosen.children[0], ArrowLeft: chosen.above.isRoot ? null : chosen.above, ArrowDown: among[at + 1], ArrowUp: among[at - 1] }[key] ?? chosen;
}

canvas.addEventListener("pointermove", (event) => { const node = boxAt(event)?.node ?? null; if (node !== chosen) choose(node); });
canvas.addEventListener("pointerleave", () => choose(null));
canvas.addEventListener("click", (event) => { const box = boxAt(event); if (box) zoom(box.node); });
canvas.addEventListener("blur", () => choose(null));
canvas.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && chosen) zoom(chosen);
  else if (event.key === "Escape") zoomOut();
  else if (event.key.startsWith("Arrow")) choose(beside(event.key), true);
  else return;
  event.preventDefault();
});
$("tree-out").addEventListener("click", zoomOut);
$("tree-namespace").addEventListener("change", () => zoom(null));

function namespaces(names) {
  const select = $("tree-namespace");
  const known = [...select.options].map((option) => option.value);
  if (known.join("\n") === ["", ...names].join("\n")) return;
  const before = select.value;
  select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(before) ? before : "";
}

// ---------------------------------------------------------------- the engine: asking, only while somebody looks

const STATE_MS = 1000;
const TREE_EVERY = 3;
let timer = 0;
let round = 0;

const looksOn = () => !$("view-engine").hidden && !document.hidden;

async function poll() {
  clearTimeout(timer);
  if (!looksOn()) return;
  try {
    const state = await get("/admin/state");
    if (state.worker) {
      note(state);
      tiles(state);
      tables(state);
    }
    if (state.worker && round++ % TREE_EVERY === 0) await readTree();
    notice("engine-notice", state.worker ? "" : "The model's worker does not answer; it may be starting again.");
    health(state.worker ? "live" : "gone", `up ${seconds(state.uptime_s)}`);
  } catch (error) {
    if (error.status === 401) openKey();
    const isForAdmins = error.status === 401 || error.status === 403;
    notice("engine-notice", isForAdmins ? "What the engine does is shown to admins: give an admin key (Key, above)." : error.message);
    health(error.status === 0 ? "gone" : "live", "");
    if (isForAdmins) return;
  }
  if (looksOn()) timer = setTimeout(poll, STATE_MS);
}

async function readTree() {
  const told = await get("/admin/tree?most=1500");
  const chosenKey = chosen?.key;
  grow(told);
  namespaces(told.namespaces);
  chosen = tree.nodes.find((node) => node.key === chosenKey) ?? null;
  if (focus && !tree.nodes.some((node) => node.key === focus)) zoom(null);
  $("tree-count").textContent = `${count(told.nodes.length)} nodes${told.num_left_out ? `, ${count(told.num_left_out)} farther ones left out` : ""}`;
  draw();
}

// ---------------------------------------------------------------- the frame

function openKey() {
  if ($("key-dialog").open) return;
  $("key").value = sessionStorage.getItem(KEY) ?? "";
  notice("key-wrong", "");
  $("key-dialog").showModal();
}

async function useKey() {
  sessionStorage.setItem(KEY, $("key").value.trim());
  try {
    await meet();
    $("key-dialog").close();
    check();
    poll();
  } catch (error) {
    notice("key-wrong", error.status === 401 ? "This server does not know that key." : error.message);
  }
}

/** What this server is. */
async function meet() {
  const told = await get("/playground/model");
  model = told;
  $("model").textContent = told.name;
  $("model").title = `radixgen ${told.version}; context of ${count(told.context_len)} tokens, ${count(told.vocab_size)} in the vocabulary`;
  $("system").placeholder = told.reads_fields ? "The fields of the schema are told to the model by themselves" : INSTRUCTIONS;
  health("live", "");
}

function view() {
  const name = location.hash === "#engine" ? "engine" : "playground";
  for (const link of document.querySelectorAll("[data-view]")) {
    $(`view-${link.dataset.view}`).hidden = link.dataset.view !== name;
    link.dataset.view === name ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  hideTip();
  document.title = name === "engine" ? "Engine · radixgen" : "radixgen";
  if (name === "engine") { draw(); poll(); }
}

const THEMES = ["", "light", "dark"];
const THEME = "radixgen-theme";

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  $("theme").textContent = { "": "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[name];
  localStorage.setItem(THEME, name);
  draw();
}

$("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(localStorage.getItem(THEME) ?? "") + 1) % THEMES.length]));
$("key-open").addEventListener("click", openKey);
$("key-form").addEventListener("submit", (event) => { event.preventDefault(); useKey(); });
$("key-cancel").addEventListener("click", () => $("key-dialog").close());
$("run").addEventListener("click", run);
$("stop").addEventListener("click", () => answering?.abort());
$("preset").addEventListener("change", () => preset($("preset").value));
$("curl").parentElement.addEventListener("toggle", curl);
for (const id of [...DRAFTED, "verbatim"]) $(id).addEventListener("input", changed);
$("constraint").addEventListener("keydown", (event) => {
  if (event.key !== "Tab" || event.shiftKey || kind.value !== "schema") return;
  const { selectionStart: at, value } = $("constraint");
  if (!/(^|\n)\s*$/.test(value.slice(0, at))) return; // Tab indents at the beginning of a line and leaves elsewhere
  event.preventDefault();
  $("constraint").setRangeText("  ", at, at, "end");
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("view-playground").hidden) { event.preventDefault(); run(); }
  if (event.key === "Escape") hideTip();
});
document.addEventListener("visibilitychange", poll);
addEventListener("hashchange", view);
addEventListener("resize", draw);
addEventListener("scroll", hideTip, { passive: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

$("preset").append(...Object.keys(PRESETS).map((name) => make("option", { value: name }, name)));
$("tokens").dataset.empty = "The answer comes here, each token marked with how it came to be. Point at one, or go through them with the arrow keys.";
theme(localStorage.getItem(THEME) ?? "");
shown.set("tokens");
takeDraft();
show();
view();
meet().catch((error) => { if (error.status === 401) openKey(); else health("gone", error.message); });
