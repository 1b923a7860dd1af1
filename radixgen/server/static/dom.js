// Elements: made, found, chosen among, and pointed at. Whatever comes from a server, a model or a document becomes text
// nodes only, so nothing here takes markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A bar that is so full. */
export function bar(kind, share) {
  const inner = make("i");
  inner.style.width = `${Math.min(100, 100 * share).toFixed(1)}%`;
  return make("span", { class: kind }, inner);
}

/** A table. heads: [name, is it a number] of each column; a cell is text or an element. */
export function grid(heads, rows) {
  const numeric = heads.map(([, isNumber]) => (isNumber ? { class: "num" } : {}));
  const head = make("tr", {}, ...heads.map(([name], place) => make("th", { ...numeric[place], scope: "col" }, name)));
  const lines = rows.map((row) => make("tr", {}, ...row.map((cell, place) => make("td", numeric[place], cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
}

/** What stands where nothing is yet. */
export const empty = (text) => make("p", { class: "empty" }, text);

/** One of some buttons is chosen, the group's `data-value`; arrow keys go on, as in any radio group. Gives what sets it. */
export function segments(id, choose) {
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
  for (const button of buttons) button.addEventListener("click", () => { set(button.dataset.value); choose(); });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = buttons[(buttons.findIndex((one) => one.tabIndex === 0) + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  return set;
}

const tip = $("tip");

/** Show a tip beside a rectangle of the window, where there is room. */
export function showTip(box, ...content) {
  tip.replaceChildren(...content);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const below = box.bottom + height + 14 < innerHeight || box.top < height + 14;
  tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  tip.style.top = `${below ? box.bottom + 8 : box.top - height - 8}px`;
}

export const hideTip = () => { tip.hidden = true; };

/** What went wrong; mild: what is to be known. */
export function notice(id, text, isMild = false) {
  $(id).classList.toggle("mild", isMild);
  $(id).textContent = text;
  $(id).hidden = !text;
}

/** How the server is, in the frame: live, busy or gone. */
export function health(state, text) {
  $("health").dataset.state = state;
  $("health").textContent = text;
}
