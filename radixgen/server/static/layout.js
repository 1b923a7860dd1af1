// Where each node of the radix tree stands in a picture: x by tokens, y by leaves. Numbers only; tree.js draws them.

const ROOT_SCALE = 0.5; // widths grow with the root of tokens, so that long documents leave room for what they share
const LEAF_MOST_PX = 26;
const LABEL_PX = 18; // above the tree of a namespace
const APART_PX = 2; // below it
const AXIS_PX = 22;
const TICKS = [0, 0.01, 0.04, 0.1, 0.2, 0.35, 0.5, 0.7, 1];

/** Rows of the server to `{ nodes, roots }` that know what is above and below them, and their leaves. */
export function grow(told) {
  const roots = told.namespaces.map((name) => ({ name, end: 0, children: [], leaves: 0, isRoot: true }));
  const nodes = told.nodes.map((row) => ({ ...Object.fromEntries(told.fields.map((name, at) => [name, row[at]])), children: [], leaves: 0 }));
  for (const node of nodes) {
    node.above = node.parent < 0 ? roots[node.namespace] : nodes[node.parent];
    node.above.children.push(node);
    node.key = `${roots[node.namespace].name}:${node.end}:${node.text}`; // the same when it is told again
  }
  for (const node of [...nodes].reverse()) {
    node.leaves = Math.max(1, node.leaves);
    node.above.leaves += node.leaves;
    node.isInUse ||= node.num_holds > 0;
    node.above.isInUse ||= node.isInUse;
  }
  for (const node of [...roots, ...nodes]) node.children.sort((a, b) => b.leaves - a.leaves || b.num_uses - a.num_uses);
  return { nodes, roots };
}

/** tops: roots, each with a label, or the one node that fills the picture. Ticks are of the axis below. */
export function layout(tops, width, height) {
  const start = tops[0]?.isRoot ? 0 : tops[0]?.start ?? 0;
  const far = Math.max(1, ...tops.map(reach)) - start;
  const x = (tokens) => 6 + (width - 12) * ((tokens - start) / far) ** ROOT_SCALE;
  const leaves = tops.reduce((sum, top) => sum + top.leaves, 0);
  const labels = [];
  const boxes = [];
  const between = tops.filter((top) => top.isRoot).length * (LABEL_PX + APART_PX);
  const unit = Math.min(LEAF_MOST_PX, (height - AXIS_PX - between) / Math.max(1, leaves));
  let y = 4;
  for (const top of tops) {
    if (top.isRoot) {
      labels.push({ text: top.name, y: y + 12 });
      y += LABEL_PX;
    }
    place(top, y, unit, x, boxes);
    y += top.leaves * unit + APART_PX;
  }
  return { boxes, labels, ticks: TICKS.map((part) => Math.round(start + far * part)).map((tokens) => ({ tokens, x: x(tokens) })) };
}

function reach(node) {
  return Math.max(node.end, ...node.children.map(reach));
}

function place(node, y, unit, x, boxes) {
  if (!node.isRoot) boxes.push({ node, x: x(node.start), y, width: x(node.end) - x(node.start), height: node.leaves * unit });
  let at = y;
  for (const child of node.children) {
    place(child, at, unit, x, boxes);
    at += child.leaves * unit;
  }
}
