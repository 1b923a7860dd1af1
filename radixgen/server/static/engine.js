// The engine at work: its state is asked for once a second, its tree less often, and only while somebody looks.

import { askJson, openKey } from "./api.js";
import { $, empty, grid, health, make, notice } from "./dom.js";
import { note, tiles } from "./tiles.js";
import { readTree } from "./tree.js";
import { count, percent, seconds, share } from "./words.js";

const STATE_MS = 1000;
const TREE_EVERY = 3;
let timer = 0;
let round = 0;

const looksOn = () => !$("view-engine").hidden && !document.hidden;

/** Show the engine from now on, until nobody looks. */
export async function poll() {
  clearTimeout(timer);
  if (!looksOn()) return;
  try {
    const state = await askJson("/admin/state");
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

function tables(state) {
  const rows = state.requests.map((one) => [
    make("span", { class: `state ${one.state}` }, one.state), one.namespace, one.constraint || "–",
    `${count(one.prompt_tokens)} (${count(one.cached_tokens)})`, `${count(one.completion_tokens)} / ${count(one.max_tokens * one.num_outputs)}`, seconds(one.age_s),
  ]);
  if (state.num_requests_left_out) rows.push([`and ${count(state.num_requests_left_out)} more`, "", "", "", "", ""]);
  table("requests", [["state"], ["namespace"], ["constraint"], ["prompt (cached)", 1], ["written", 1], ["age", 1]], rows, "Nothing is open.");
  table("namespaces", [["namespace"], ["tokens kept", 1], ["nodes", 1], ["requests", 1], ["found", 1]],
    state.namespaces.map((one) => [one.name, count(one.num_cached), count(one.num_nodes), count(one.num_requests),
      percent(share(one.cached_tokens, one.prompt_tokens))]), "The cache is empty.");
  table("constraints", [["constraint"], ["answers", 1], ["p50", 1], ["p1", 1]],
    state.constraints.map((one) => [make("code", {}, one.name), count(one.num_answers), percent(one.p50, 1), percent(one.p1, 1)]),
    "No constrained answer yet.");
  table("refusals", [["error"], ["keyword or limit"], ["times", 1]],
    state.refusals.map((one) => [one.error, one.keyword || "–", count(one.count)]), "No constraint was refused.");
}

function table(id, heads, rows, without) {
  $(id).replaceChildren(rows.length ? grid(heads, rows) : empty(without));
}
