/* A flow's page: passos open beside the map, and the keyboard adds and deletes them there. What
   happens in the form itself is steps.js's business. */

const panel = document.getElementById("step-panel");

function isPlain(event) {
  return event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
}

/* What is typed in the form is the form's business: steps.js asks, and may keep it. */
function openByKey(href, shown) {
  if (document.dispatchEvent(new CustomEvent("step-leaves", { cancelable: true }))) open(href, shown);
}

function open(href, shown) {
  if (shown) show(shown);
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  window.htmx.ajax("GET", href, { target: "#step-panel", swap: "innerHTML" }).catch(() => {});
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-step-open]");
  if (!link || !panel || !window.htmx || event.defaultPrevented || !isPlain(event)) return;
  event.preventDefault();
  open(link.getAttribute("href"), link.dataset.show ?? link.dataset.node);
});

/* ---- the passo that is looked at, in view and marked ---- */

function nodeOf(id) {
  return document.querySelector(`[data-map] a[data-node="${CSS.escape(id)}"]`);
}

function unmark() {
  for (const one of document.querySelectorAll(".is-shown")) one.classList.remove("is-shown");
}

let shownNow = "";

function show(id) {
  unmark();
  shownNow = id;
  const node = nodeOf(id);
  if (node) {
    node.classList.add("is-shown");
    bringIntoView(node);
    return;
  }
  const row = document.getElementById(`passo-${id}`);
  row?.classList.add("is-shown");
  row?.scrollIntoView({ block: "nearest" });
}

function bringIntoView(node) {
  const canvas = node.closest("[data-map]");
  const frame = canvas.getBoundingClientRect();
  if (frame.top < 0 || frame.bottom > window.innerHeight) canvas.scrollIntoView({ block: "nearest" });
  const box = node.querySelector(".nb").getBoundingClientRect();
  const around = canvas.getBoundingClientRect();
  const isSeen = box.left >= around.left && box.right <= around.right
    && box.top >= around.top && box.bottom <= around.bottom;
  if (isSeen) return;
  canvas.scrollLeft += box.left + box.width / 2 - (around.left + around.width / 2);
  canvas.scrollTop += box.top + box.height / 2 - (around.top + around.height / 2);
}

/* The form is closed: the map gets the focus back, drawn anew or not. */
document.addEventListener("step-closed", () => {
  unmark();
  const node = shownNow && nodeOf(shownNow);
  shownNow = "";
  if (node && document.activeElement === document.body) node.focus();
});

document.addEventListener("htmx:load", ({ detail }) => {
  if (shownNow && detail.elt.id === "flow-map-card") nodeOf(shownNow)?.classList.add("is-shown");
});

/* A new passo is shown where it has come to stand. */
document.addEventListener("flow-changed", ({ detail }) => {
  if (detail?.node) shownNow = detail.node;
});

/* ---- the map by keyboard: Insert and + put a passo after the one in focus, Delete asks ---- */

document.addEventListener("keydown", (event) => {
  const node = event.target.closest?.("[data-map] a[data-node][data-step-open]");
  if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
  const { node: id, removes } = node.dataset;
  if (event.key === "Insert" || event.key === "+") {
    const plus = document.querySelector(`[data-map] a[data-insert="${CSS.escape(id)}"]`);
    if (!plus) return;
    event.preventDefault();
    openByKey(plus.getAttribute("href"), id);
  } else if (event.key === "Delete" && removes) {
    event.preventDefault();
    openByKey(removes, id);
  }
});

/* On a narrow window the form stands above the map. */
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target !== panel || !panel.firstElementChild) return;
  if (window.matchMedia("(max-width: 1120px)").matches) panel.scrollIntoView({ block: "start" });
});
