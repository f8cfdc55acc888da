/* The form of a passo: focus, keys, counters, variables at the caret, and nothing typed is lost.
   Everything works by plain forms too; this makes it quicker. */

const FIELDS = "input:not([type=hidden], [type=checkbox], [type=radio]), textarea, select";

const panel = () => document.getElementById("step-panel");
const stepForm = () => panel()?.querySelector("[data-step-form]");

/* ---- what is typed and not saved ---- */

const isDirty = () => Boolean(stepForm()?.hasAttribute("data-dirty"));

function markDirty(form) {
  form.setAttribute("data-dirty", "");
  const told = form.querySelector("[data-unsaved]");
  if (told) told.hidden = false;
}

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("[data-step-form]");
  if (form) {
    markDirty(form);
    since.add(event.target);
  }
  count(event.target);
});

window.addEventListener("beforeunload", (event) => {
  if (isDirty() && !leaving) event.preventDefault();
});

let leaving = false; // a plain form goes off, or somebody has agreed to lose what was typed
let agreed = null; // the form that they agreed to lose, until another stands in its place

document.addEventListener("submit", (event) => {
  leaving = Boolean(event.target.closest("[data-step-form]"));
});

/* Whatever leads away asks first. */
function mayLeave() {
  if (!isDirty()) return true;
  const words = panel().querySelector("[data-leave]")?.dataset.leave;
  return window.confirm(words); // eslint-disable-line no-alert
}

function leave() {
  if (!mayLeave()) return false;
  if (isDirty()) agreed = stepForm();
  stepForm()?.removeAttribute("data-dirty");
  return true;
}

document.addEventListener("step-leaves", (event) => {
  if (leave()) leaving = true;
  else event.preventDefault();
});

/* Nothing came in its place: what was typed is there still, and not saved. */
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const isOurs = detail.target?.id === "step-panel" || detail.elt.matches("form[data-leaves]");
  if (!isOurs || detail.successful) return;
  leaving = false;
  if (agreed?.isConnected) markDirty(agreed);
  agreed = null;
});

document.addEventListener(
  "click",
  (event) => {
    const link = event.target.closest("a[data-leaves], [data-step-open]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (leave()) {
      leaving = true;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  true,
);

document.addEventListener(
  "submit",
  (event) => {
    if (!event.target.matches("form[data-leaves]")) return;
    if (leave()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  true,
);

/* ---- opening and closing ---- */

let opener = null; // what had the focus before the panel took it

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target?.id !== "step-panel" || panel()?.contains(document.activeElement)) return;
  opener = document.activeElement;
});

function close() {
  const place = panel();
  const link = place?.querySelector("[data-close-step]");
  if (!link) return;
  if (place.closest(".step-page")) {
    link.click(); // a page of its own: back to the flow
    return;
  }
  if (!mayLeave()) return;
  place.replaceChildren();
  place.dispatchEvent(new CustomEvent("step-closed", { bubbles: true }));
  if (opener?.isConnected) opener.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-close-step]");
  if (!link || link.closest(".step-page")) return;
  event.preventDefault();
  stepForm()?.removeAttribute("data-dirty"); // it was asked above
  close();
});

/* ---- keys ---- */

const isTyping = (target) => Boolean(target.closest?.(`${FIELDS}, [contenteditable]`));

function press(selector) {
  const button = document.querySelector(`${selector}:not(:disabled)`);
  if (button?.form) window.htmx?.process(button.form); // it may have been drawn a moment ago
  button?.click();
  return Boolean(button);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const inPanel = panel()?.contains(event.target);
  const hasModifier = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (event.key === "Escape" && inPanel) {
    if (document.querySelector("dialog[open]") || event.target.closest("details.menu[open]")) return;
    event.preventDefault();
    close();
  } else if (hasModifier && !event.altKey && (key === "z" || key === "y") && !isTyping(event.target)) {
    const again = key === "y" || event.shiftKey;
    if (press(again ? "[data-redo-draft]" : "[data-undo-draft]")) event.preventDefault();
  } else if (hasModifier && inPanel && (key === "s" || event.key === "Enter")) {
    event.preventDefault();
    press("#step-save");
  } else if (event.altKey && inPanel && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    if (move(event.target, event.key === "ArrowUp")) event.preventDefault();
  }
});

/* ---- rows: the order of the page is the order that is saved ---- */

function move(within, isUp) {
  const row = within.closest("[data-row]");
  if (!row?.querySelector(":scope > .step-row-h [data-moves]")) return false;
  const other = isUp ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return true;
  const focused = document.activeElement;
  if (isUp) other.before(row);
  else other.after(row);
  focused?.focus(); // moving an element takes its focus away
  renumber(row.parentElement);
  row.classList.add("is-moved");
  markDirty(row.closest("form"));
  row.scrollIntoView({ block: "nearest" });
  return true;
}

/* "Option 3" stays what the third one is called. */
function renumber(list) {
  Array.from(list.children).forEach((row, index) => {
    const label = row.querySelector(":scope > .step-row-h .step-row-n");
    const before = label.textContent;
    const after = before.replace(/\d+(?=\D*$)/, String(index + 1));
    label.textContent = after;
    for (const button of row.querySelectorAll(":scope > .step-row-h [aria-label]")) {
      button.setAttribute("aria-label", button.getAttribute("aria-label").replace(before, after));
    }
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-moves]");
  if (button && move(button, button.dataset.moves === "up")) event.preventDefault();
});

/* ---- counters: as long as the text is with every variable empty ---- */

const PLACEHOLDER = /\{\{\s*[a-z_][a-z0-9_.]*\s*(?:\|\s*([^{}]{0,80}?)\s*)?\}\}/g;

function count(field) {
  const counter = field.id && document.querySelector(`[data-counter="${CSS.escape(field.id)}"]`);
  if (!counter) return;
  const length = field.value.replace(PLACEHOLDER, (_all, otherwise) => otherwise ?? "").length;
  counter.textContent = `${length}/${counter.dataset.limit}`;
  counter.classList.toggle("is-over", length > Number(counter.dataset.limit));
  field.closest(".step-field")?.classList.remove("is-over");
}

/* ---- variables at the caret ---- */

let wanted = null; // the field that asked for one

function insert(field, text) {
  field.focus();
  const start = field.selectionStart ?? field.value.length;
  field.setRangeText(text, start, field.selectionEnd ?? start, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const ask = event.target.closest("[data-variables]");
  const dialog = document.getElementById("step-variables-dialog");
  if (ask && dialog) {
    wanted = document.getElementById(ask.dataset.variables);
    const list = document.querySelector("#step-variables .step-vars").cloneNode(true);
    dialog.querySelector("[data-holds]").replaceChildren(list);
    dialog.showModal();
    list.querySelector("button")?.focus();
    return;
  }
  const chosen = event.target.closest("[data-insert]");
  if (!chosen) return;
  dialog?.close();
  if (wanted?.isConnected) insert(wanted, chosen.dataset.insert);
});

document.addEventListener("focusin", (event) => {
  if (event.target.matches?.("[data-step-form] :is(input:not([type]), textarea)")) wanted = event.target;
});

/* Arrows walk through the list. */
document.addEventListener("keydown", (event) => {
  const at = event.target.closest?.(".step-vars [data-insert]");
  if (!at || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const all = Array.from(at.closest(".step-vars").querySelectorAll("[data-insert]"));
  const next = all[all.indexOf(at) + (event.key === "ArrowDown" ? 1 : -1)];
  event.preventDefault();
  next?.focus();
});

/* ---- what is typed while the form is saved or drawn anew goes on in the new one ---- */

const since = new Set(); // fields that changed after the request went off
let focusThen = null; // the focus when it went off
let goesOn = null; // {step form that is replaced, focus in it}, when its successor takes over

/* The same form again, rather than another passo. */
function isSameForm({ verb, elt, path }) {
  if (verb === "post") return Boolean(elt.closest("[data-step-form]"));
  return path === panel().querySelector("[data-step-url]")?.dataset.stepUrl;
}

/* What a field is called, whichever row it is in. */
const kindOf = (field) => field?.id.replace(/\.n?\d+(?=\.|-|$)/g, ".#");

/* Rows get other names when they are saved, but keep their place. */
function successorOf(field, before, now) {
  const place = Array.from(before.elements).indexOf(field);
  const there = before.elements.length === now.elements.length ? now.elements[place] : null;
  if (there && kindOf(there) === kindOf(field)) return there;
  const named = field.id && now.elements.namedItem(field.id);
  return named instanceof Element ? named : null;
}

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target?.id !== "step-panel") return;
  since.clear();
  focusThen = document.activeElement;
});

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target?.id !== "step-panel") return;
  const [form, focus] = [stepForm(), document.activeElement];
  // the same field, also when another answer has drawn it anew meanwhile
  const stays = focus === focusThen || (focus?.id && focus.id === focusThen?.id);
  const hasMoved = since.size > 0 || !stays;
  const isNext = form && hasMoved && isSameForm(detail.requestConfig);
  goesOn = isNext ? { form, focus: form.contains(focus) ? focus : null } : null;
});

/* true when the focus is where the person had gone on to. */
function goOn() {
  const now = stepForm();
  const { form: before, focus } = goesOn;
  goesOn = null;
  if (!now) return false;
  for (const field of Array.from(since)) {
    const one = successorOf(field, before, now);
    if (one?.type !== field.type || (one.value === field.value && one.checked === field.checked)) continue;
    if ("checked" in field) one.checked = field.checked;
    one.value = field.value;
    one.dispatchEvent(new Event("input", { bubbles: true }));
    one.dispatchEvent(new Event("change", { bubbles: true })); // it may decide which fields there are
  }
  const next = focus && successorOf(focus, before, now);
  if (!next) return false;
  next.focus();
  if (typeof focus.selectionStart === "number") next.setSelectionRange(focus.selectionStart, focus.selectionEnd);
  return true;
}

/* ---- after each answer ---- */

function setUp(root) {
  for (const button of root.querySelectorAll("[data-variables]")) button.hidden = false;
  for (const counter of root.querySelectorAll("[data-counter]")) {
    count(document.getElementById(counter.dataset.counter));
  }
  const form = root.querySelector("[data-step-form][data-dirty]");
  if (form) markDirty(form);
}

document.addEventListener("htmx:load", ({ detail }) => {
  if (!detail.elt.closest?.("#step-panel") && !detail.elt.querySelector?.("#step-panel")) return;
  setUp(panel());
});

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target?.id !== "step-panel") return;
  leaving = false;
  agreed = null;
  if (detail.elt !== panel()) return; // once, not for each part that came with it
  if (!goesOn || !goOn()) panel().querySelector("[autofocus]")?.focus();
});

/* Somebody undid, or changed the flow elsewhere on the page: the form shows what is stored now, unless
   something is typed in it; then saving tells what else has changed. */
document.addEventListener("flow-changed", ({ detail }) => {
  const url = panel()?.querySelector("[data-step-url]")?.dataset.stepUrl;
  if (detail.by === "panel" || !url || isDirty()) return;
  window.htmx?.ajax("GET", url, { target: "#step-panel", swap: "innerHTML" }).catch(() => {});
});

if (panel()) setUp(panel());
