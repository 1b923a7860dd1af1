// The form of the playground: examples, the ways to ask, and a draft that outlives a reload. Each change is checked.

import { checkSoon } from "./check.js";
import { $, make, segments } from "./dom.js";
import { PRESETS } from "./presets.js";
import { curl, kind, mode } from "./request.js";

const DRAFT = "radixgen-draft";
const FIELDS = ["system", "prompt", "constraint", "max_tokens", "temperature", "top_p", "seed"];
const PLACEHOLDERS = {
  schema: "{\"type\": \"object\", \"properties\": {...}}", regex: "[A-Z]{2}-\\d+", grammar: "start: ...   (Lark, or GBNF with ::=)",
  choices: "one choice a line", none: "",
};

/** What was typed for each kind of constraint, so that looking at another loses nothing. */
const kept = {};
const setMode = segments("mode", () => { dress(); changed(); });
const setKind = segments("kind", () => { $("constraint").value = kept[kind()] ?? ""; dress(); changed(); });

function dress() {
  $("prompt-label").textContent = { extract: "Document", chat: "Message", text: "Prompt" }[mode()];
  $("system-field").hidden = mode() === "text";
  $("verbatim-field").hidden = kind() !== "schema";
  $("constraint").hidden = kind() === "none";
  $("constraint").placeholder = PLACEHOLDERS[kind()];
}

function fill(form) {
  for (const id of FIELDS) if (id in form) $(id).value = form[id];
  $("verbatim").checked = form.verbatim;
  setMode(form.mode);
  setKind(form.kind);
  dress();
  changed();
}

const fillPreset = () => fill({ system: "", verbatim: false, max_tokens: 256, ...PRESETS[$("preset").value] });

function keepDraft() {
  const draft = { mode: mode(), kind: kind(), verbatim: $("verbatim").checked, preset: $("preset").value };
  for (const id of FIELDS) draft[id] = $(id).value;
  sessionStorage.setItem(DRAFT, JSON.stringify(draft));
}

/** Go on where this tab was, or with the first example. */
function takeDraft() {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
  if (!draft) return fillPreset();
  $("preset").value = draft.preset;
  fill(draft);
}

function changed() {
  kept[kind()] = $("constraint").value;
  keepDraft();
  checkSoon();
  if ($("curl").parentElement.open) curl();
}

/** Tab indents at the beginning of a schema's line; elsewhere it leaves the field, as it does for keyboards everywhere. */
function indent(event) {
  if (event.key !== "Tab" || event.shiftKey || kind() !== "schema") return;
  const { selectionStart: at, value } = $("constraint");
  if (!/(^|\n)\s*$/.test(value.slice(0, at))) return;
  event.preventDefault();
  $("constraint").setRangeText("  ", at, at, "end");
}

/** Fill the form and listen to it. */
export function openForm() {
  $("preset").append(...Object.keys(PRESETS).map((name) => make("option", { value: name }, name)));
  $("preset").addEventListener("change", fillPreset);
  for (const id of [...FIELDS, "verbatim"]) $(id).addEventListener("input", changed);
  $("constraint").addEventListener("keydown", indent);
  $("curl").parentElement.addEventListener("toggle", curl);
  takeDraft();
}
