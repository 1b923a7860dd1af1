// What the server's check says of the constraint, as one types it.

import { askJson } from "./api.js";
import { $, make } from "./dom.js";
import { constraint } from "./request.js";

const CHECK_AFTER_MS = 250;
let timer = 0;
let checking = new AbortController();

/** Check when nothing was typed for a moment. */
export function checkSoon() {
  clearTimeout(timer);
  timer = setTimeout(check, CHECK_AFTER_MS);
}

/** Check now; an answer to what stood there before is not waited for. */
export async function check() {
  checking.abort();
  const mine = (checking = new AbortController());
  let given;
  try {
    given = constraint();
  } catch (error) {
    return say([{ kind: "refused", note: `Not JSON yet: ${error.message}` }]);
  }
  if (!Object.keys(given).length) return say([]);
  try {
    const limit = Math.max(1, Number($("max_tokens").value) || 1);
    const told = await askJson("/playground/check", { ...given, document: $("prompt").value, max_tokens: limit }, mine.signal);
    say([...summary(told), ...told.findings.filter((one) => one.kind !== "enforced")]);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 429) timer = setTimeout(check, 1000 * error.retry);
    else say([{ kind: "refused", note: error.message }]);
  }
}

/** One line that says how it stands; none where the findings say it. */
function summary(told) {
  if (told.is_refused) return [];
  if (told.problem) return [{ kind: "refused", note: told.problem }];
  if (told.is_too_small) return [{ kind: "refused", note: `No answer fits in so few tokens; ${told.sure} are certainly enough.` }];
  const enforced = new Set(told.findings.filter((one) => one.kind === "enforced").map((one) => one.what));
  const words = [...enforced].slice(0, 12).join(", ");
  const text = words ? `Enforced: ${words}${enforced.size > 12 ? " …" : "."}` : "Enforced as a whole.";
  return [{ kind: "good", note: `${text} ${told.sure} tokens are enough for an answer.` }];
}

function say(findings) {
  $("findings").replaceChildren(...findings.map(({ kind, where, what, note }) => {
    const head = [where, what].filter(Boolean).flatMap((part) => [make("code", {}, part), " "]);
    if (head.length) head.splice(-1, 1, note ? ": " : "");
    return make("p", { class: kind }, ...head, note);
  }));
}
