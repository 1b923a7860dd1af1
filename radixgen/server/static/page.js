// The page: its frame, and what of it shows. No library, no build; the playground is form.js and answer.js, the engine is
// engine.js.

import { keepKey, openKey } from "./api.js";
import { openAnswer, run } from "./answer.js";
import { check } from "./check.js";
import { $, health, hideTip, notice } from "./dom.js";
import { poll } from "./engine.js";
import { openForm } from "./form.js";
import { meet } from "./request.js";
import { drawTree } from "./tree.js";

const THEMES = ["", "light", "dark"];
const THEME = "radixgen-theme";

/** Go on with the key that was typed, where the server knows it. */
async function useKey() {
  keepKey($("key").value.trim());
  try {
    await meet();
    $("key-dialog").close();
    check();
    poll();
  } catch (error) {
    notice("key-wrong", error.status === 401 ? "This server does not know that key." : error.message);
  }
}

function view() {
  const name = location.hash === "#engine" ? "engine" : "playground";
  for (const link of document.querySelectorAll("[data-view]")) {
    $(`view-${link.dataset.view}`).hidden = link.dataset.view !== name;
    link.dataset.view === name ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  hideTip();
  document.title = name === "engine" ? "Engine · radixgen" : "radixgen";
  if (name === "engine") { drawTree(); poll(); }
}

const storedTheme = () => localStorage.getItem(THEME) ?? "";

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  $("theme").textContent = { "": "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[name];
  localStorage.setItem(THEME, name);
  drawTree();
}

$("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]));
$("key-open").addEventListener("click", openKey);
$("key-form").addEventListener("submit", (event) => { event.preventDefault(); useKey(); });
$("key-cancel").addEventListener("click", () => $("key-dialog").close());
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("view-playground").hidden) { event.preventDefault(); run(); }
  if (event.key === "Escape") hideTip();
});
document.addEventListener("visibilitychange", poll);
addEventListener("hashchange", view);
addEventListener("resize", drawTree);
addEventListener("scroll", hideTip, { passive: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTree);

theme(storedTheme());
openForm();
openAnswer();
view();
meet().catch((error) => { if (error.status === 401) openKey(); else health("gone", error.message); });
