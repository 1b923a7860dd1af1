// The radix tree of cached prefixes on a canvas. One points at a prefix, goes through them by arrow keys, or into one.

import { askJson } from "./api.js";
import { $, hideTip, make, showTip } from "./dom.js";
import { grow, layout } from "./layout.js";
import { count, seconds } from "./words.js";

const MOST_NODES = 1500;
const USUAL_PX = 430;
const NAMESPACE_LEAST_PX = 32;
const ON_COLOR = "#0b1513"; // on a full color, in either theme
const canvas = $("tree");
let tree = null; // as it was told last
let picture = layout([], 0, 0);
let focus = null; // the key of the node that fills the picture; null: all
let chosen = null; // the node under the pointer or the arrow keys

/** Ask for the tree, and draw it; what one looks at stays in sight. */
export async function readTree() {
  const told = await askJson(`/admin/tree?most=${MOST_NODES}`);
  tree = grow(told);
  offer(told.namespaces);
  chosen = chosen && found(chosen.key);
  if (focus && !found(focus)) zoom(null);
  $("tree-count").textContent = `${count(told.nodes.length)} nodes${told.num_left_out ? `, ${count(told.num_left_out)} farther ones left out` : ""}`;
  drawTree();
}

const found = (key) => tree.nodes.find((node) => node.key === key) ?? null;

/** The namespaces to choose one of. */
function offer(names) {
  const select = $("tree-namespace");
  const known = [...select.options].map((option) => option.value);
  if (known.join("\n") === ["", ...names].join("\n")) return;
  const before = select.value;
  select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(before) ? before : "";
}

/** The node that one went into, or the roots that one chose. */
function tops() {
  if (focus) return [found(focus)];
  const wanted = $("tree-namespace").value;
  return tree.roots.filter((root) => !wanted || root.name === wanted);
}

export function drawTree() {
  if ($("view-engine").hidden || !tree) return;
  const needed = 24 + NAMESPACE_LEAST_PX * (focus ? 0 : tree.roots.length);
  canvas.style.height = needed > USUAL_PX ? `${needed}px` : "";
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = palette();
  picture = layout(tops(), width, height);
  if (!tree.nodes.length) return write(pen, "The cache is empty. Whatever is asked leaves its prefix here.", 16, 30, style.soft, `14px ${style.sans}`);
  for (const { text, y } of picture.labels) write(pen, text, 7, y, style.soft, `600 11.5px ${style.sans}`);
  for (const box of picture.boxes) drawNode(pen, box, style);
  drawAxis(pen, width, height, style);
}

/** Colors and fonts of the sheet, which knows the theme. */
function palette() {
  const style = (element) => getComputedStyle(element);
  const swatch = (name) => style(document.querySelector(`.swatch.${name}`)).backgroundColor;
  const { color: ink, fontFamily: sans } = style(document.body);
  return { one: swatch("one"), few: swatch("few"), many: swatch("many"), ink, sans, soft: style($("tree-count")).color, mono: style($("constraint")).fontFamily };
}

function write(pen, text, x, y, color, font) {
  pen.fillStyle = color;
  pen.font = font;
  pen.fillText(text, x, y);
}

function drawNode(pen, { node, x, y, width, height }, style) {
  const gap = height > 4 ? 1 : 0.25;
  const box = [x + 0.5, y + gap / 2, Math.max(1, width - 1), Math.max(0.5, height - gap)];
  const alpha = Math.max(0.3, 0.95 - 0.13 * Math.log2(1 + (node.isInUse ? 0 : node.idle_s) / 15));
  pen.globalAlpha = alpha;
  pen.fillStyle = node.num_uses > 8 ? style.many : node.num_uses > 1 ? style.few : style.one;
  pen.beginPath();
  pen.roundRect(...box, Math.min(4, height / 3));
  pen.fill();
  pen.globalAlpha = 1;
  outline(pen, node, style.ink);
  if (height < 12.5 || width <= 34) return;
  pen.save();
  pen.beginPath();
  pen.rect(...box);
  pen.clip();
  const text = node.text.replace(/\s+/g, " ").trimStart();
  write(pen, text, x + 6, y + Math.min(height / 2, 13) + 3.5, alpha > 0.6 ? ON_COLOR : style.ink, `10.5px ${style.mono}`);
  pen.restore();
}

/** Around the path that is begun, where the node is in use, pinned or pointed at. */
function outline(pen, node, ink) {
  const isChosen = node === chosen;
  if (!node.num_holds && !node.is_pinned && !isChosen) return;
  pen.strokeStyle = ink;
  pen.lineWidth = isChosen ? 2.2 : 1.6;
  pen.setLineDash(node.num_holds || isChosen ? [] : [4, 3]);
  pen.stroke();
  pen.setLineDash([]);
}

/** As many ticks as there is room for. */
function drawAxis(pen, width, height, style) {
  pen.font = `10.5px ${style.sans}`;
  let last = -99;
  picture.ticks.forEach((tick, place) => {
    const text = count(tick.tokens) + (place === picture.ticks.length - 1 ? " tokens" : "");
    const long = pen.measureText(text).width;
    const x = Math.min(tick.x, width - long - 8);
    if (x < last + 14) return;
    write(pen, text, x, height - 5, style.soft, pen.font);
    last = x + long;
  });
}

const boxOf = (node) => picture.boxes.find((box) => box.node === node);

function boxAt(event) {
  const { left, top } = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - left, event.clientY - top];
  return picture.boxes.find((box) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height);
}

/** What is known of one node. */
function about(node) {
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

/** Point at a node, or at none. isSaid: to those who hear the page, too. */
function choose(node, isSaid = false) {
  chosen = node;
  drawTree();
  const box = node && boxOf(node);
  if (!box) return hideTip();
  const { left, top } = canvas.getBoundingClientRect();
  const at = { left: left + box.x, top: top + box.y, bottom: top + Math.min(box.y + box.height, box.y + 40) };
  const content = about(node);
  if (isSaid) $("tree-said").textContent = content.map((part) => part.textContent).join(". ");
  showTip(at, ...content);
}

/** Go into a node; a root or null: all is shown. */
function zoom(node) {
  focus = node && !node.isRoot ? node.key : null;
  $("tree-out").disabled = !focus;
  hideTip();
  drawTree();
}

function zoomOut() {
  zoom(focus && found(focus).above);
}

/** The next node for an arrow key: into, out of, or beside. */
function beside(key) {
  if (!chosen || !boxOf(chosen)) return picture.boxes[0]?.node;
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
