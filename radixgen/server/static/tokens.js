// The tokens of an answer, each marked with how it came to be; pointed at or gone through, one tells what else there was.

import { $, bar, hideTip, make, showTip } from "./dom.js";
import { count, percent } from "./words.js";

const view = $("tokens");
let tokens = [];
let here = -1; // the token that the arrow keys have come to

export const numTokens = () => tokens.length;

export function clearTokens() {
  tokens = [];
  here = -1;
  hideTip();
  view.replaceChildren();
}

export function writeTokens(more) {
  for (const token of more) {
    if (!token.text && token.kind !== "free" && token.num_allowed === 1) continue; // the end mark
    const isAgainst = token.kind === "narrowed" && token.mass < 0.5;
    const classes = `tok ${token.kind}${isAgainst ? " against" : ""}`;
    view.append(make("span", { class: classes, "data-place": tokens.length }, token.text));
    tokens.push(token);
  }
  view.scrollTop = view.scrollHeight;
}

/** What is known of one token. */
function about(token) {
  const within = token.mass > 0 ? Math.min(1, token.probability / token.mass) : 0;
  const how = {
    forced: "Forced: no other token fits, the model was not asked.",
    narrowed: `One of ${count(token.num_allowed)} that fit; ${percent(within, 1)} among these.`,
    free: "Free: any token would do.",
  }[token.kind];
  const content = [make("b", {}, `“${visible(token.text)}”`), make("p", {}, how)];
  if (token.kind === "narrowed") content.push(make("p", {}, `The model gave ${percent(token.mass, 1)} of its probability to what fits.`));
  if (token.likely.length) content.push(rank(token));
  return content;
}

/** The likeliest tokens and, where it is none of them, the one that was taken. */
function rank(token) {
  const isAmong = token.likely.some(([text]) => text === token.text);
  const rows = isAmong ? token.likely : [...token.likely, [token.text, token.probability]];
  return make("div", { class: "rank" }, ...rows.map(([text, probability]) =>
    make("div", { class: text === token.text ? "is" : "" },
      make("code", {}, visible(text) || "end"), bar("thin", probability), make("span", {}, percent(probability, 1)))));
}

/** Text with its white space to be seen. */
const visible = (text) => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "·");

function pointAt(place) {
  const spans = view.children;
  spans[here]?.classList.remove("here");
  here = Math.max(0, Math.min(place, spans.length - 1));
  const span = spans[here];
  if (!span) return;
  span.classList.add("here");
  span.scrollIntoView({ block: "nearest" });
  showTip(span.getClientRects()[0] ?? span.getBoundingClientRect(), ...about(tokens[here]));
}

view.addEventListener("pointerover", (event) => {
  const place = event.target.dataset?.place;
  if (place === undefined) return hideTip();
  const boxes = [...event.target.getClientRects()];
  const box = boxes.find((one) => event.clientY >= one.top - 2 && event.clientY <= one.bottom + 2) ?? boxes[0];
  if (box) showTip(box, ...about(tokens[place]));
});
view.addEventListener("pointerleave", hideTip);
view.addEventListener("blur", () => { view.children[here]?.classList.remove("here"); hideTip(); });
view.addEventListener("keydown", (event) => {
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tokens.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  pointAt(to);
});
