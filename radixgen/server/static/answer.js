// One answer of the playground: asked for, shown as it is written, and summed up.

import { Refused, ask, events, openKey } from "./api.js";
import { $, health, make, notice, segments } from "./dom.js";
import { asked, kind } from "./request.js";
import { clearTokens, numTokens, writeTokens } from "./tokens.js";
import { clearValues, showValues } from "./values.js";
import { count, percent, seconds, share } from "./words.js";

const SHOWN = ["tokens", "text", "values"];
let answering = null; // what stops the answer that is being written
const setShown = segments("shown", show);

/** Choose how the answer is shown. */
function show() {
  const shown = $("shown").dataset.value;
  for (const name of SHOWN) $(name).hidden = name !== shown;
  $("legend").hidden = shown !== "tokens";
}

function reset() {
  notice("notice", "");
  $("figures").replaceChildren();
  $("text").textContent = "";
  clearTokens();
  clearValues();
}

export async function run() {
  if (answering) return;
  reset();
  answering = new AbortController();
  busy(true);
  try {
    await write($("prompt").value, performance.now());
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

/** Show the answer as it comes. */
async function write(prompt, start) {
  const { path, body } = asked();
  const door = path === "completions" ? "/playground/text" : "/playground/chat";
  for await (const told of events(await ask(door, body, answering.signal))) {
    if (told.error) throw new Refused(told.error.message, 500);
    else if (told.end) finish(told.end, prompt);
    else {
      writeTokens(told.tokens);
      figures([["Tokens", count(numTokens()), ""], ["Time", seconds((performance.now() - start) / 1000), ""]]);
    }
  }
}

function busy(is) {
  $("run").disabled = is;
  $("stop").hidden = !is;
  $("tokens").classList.toggle("writing", is);
  $("tokens").setAttribute("aria-busy", String(is));
  if (is) health("busy", "writing");
}

function finish(end, prompt) {
  const places = end.closed.filter(Boolean).join(", ");
  if (end.sure) notice("notice", `No answer fits in so few tokens; ${end.sure} are certainly enough.`);
  else if (end.closed.length) notice("notice", `Cut short${places && ` at ${places}`} by the limit of tokens; it fits all the same.`, true);
  else if (end.finish_reason === "length") notice("notice", "Cut short by the limit of tokens.", true);
  if (end.usage) figures(whatItTook(end));
  $("text").textContent = pretty(end.text);
  showValues(end, prompt);
}

function pretty(text) {
  try {
    return kind() === "schema" ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    return text;
  }
}

/** Rows of name, value and what more there is to say. */
function whatItTook({ usage, finish_reason, mass }) {
  const rate = usage.completion_tokens / Math.max(1e-9, usage.decode_s + usage.prefill_s);
  const left = ["Mass left", percent(mass, mass > 0.1 ? 0 : 2), "of probability"];
  return [
    ["Tokens", count(usage.completion_tokens), finish_reason],
    ["Forced", percent(share(usage.forced_tokens, usage.completion_tokens)), `${count(usage.forced_tokens)} tokens`],
    ["First token", seconds(usage.queue_s + usage.prefill_s), ""],
    ["Rate", count(rate), "tokens/s"],
    ["Prompt", count(usage.prompt_tokens), `${count(usage.cached_tokens)} cached`],
    ...(kind() === "none" ? [] : [left]),
  ];
}

function figures(rows) {
  $("figures").replaceChildren(...rows.map(([name, value, more]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value, " ", make("small", {}, more)))));
}

/** Show nothing yet, and listen to the buttons. */
export function openAnswer() {
  setShown("tokens");
  show();
  clearValues();
  $("run").addEventListener("click", run);
  $("stop").addEventListener("click", () => answering?.abort());
}
