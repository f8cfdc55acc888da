/* The tickets list: a current row that keys move, a selection, and menus that act on it. */

const inbox = document.querySelector("[data-inbox]");
const form = document.querySelector("#changelist-form");
const rows = [...inbox.querySelectorAll("[data-row]")];
const boxOf = (row) => row.querySelector('[name="_selected_action"]');
const linkOf = (row) => row.querySelector("[data-open]");
const selected = () => rows.filter((row) => boxOf(row).checked);

let current = -1; // index of the row that the keys are at
let anchor = -1; // the last row that was ticked or unticked: where a range begins

inbox.classList.add("is-live");

/* --- The current row: the only one that Tab stops at, as in any list of its kind --- */

function setCurrent(index) {
  rows[current]?.classList.remove("is-current");
  current = index;
  rows[current].classList.add("is-current");
  rows.forEach((row, at) => {
    for (const control of row.querySelectorAll("a, button, input:not([type=hidden])")) {
      control.tabIndex = at === current ? 0 : -1;
    }
  });
}

function move(step) {
  if (!rows.length) return false;
  const next = current < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, current + step));
  setCurrent(next);
  linkOf(rows[next]).focus();
  rows[next].scrollIntoView({ block: "nearest" });
  return true;
}

form?.addEventListener("focusin", (event) => {
  const row = event.target.closest("[data-row]");
  if (row && rows.indexOf(row) !== current) setCurrent(rows.indexOf(row));
});

/* --- The selection --- */

function showSelection() {
  if (!form) return;
  const count = selected().length;
  const { selectedOne, selectedMany } = inbox.dataset;
  form.querySelector("[data-count]").textContent =
    count === 0 ? "" : count === 1 ? selectedOne : selectedMany.replace("%d", count);
  offerPeopleOfRows();
}

function tick(index, checked, isRange) {
  const from = isRange && anchor >= 0 ? Math.min(anchor, index) : index;
  const to = isRange && anchor >= 0 ? Math.max(anchor, index) : index;
  for (let at = from; at <= to; at += 1) boxOf(rows[at]).checked = checked;
  anchor = index;
  showSelection();
  return true;
}

function selectAll(checked) {
  for (const row of rows) boxOf(row).checked = checked;
  showSelection();
}

form?.addEventListener("click", (event) => {
  const row = event.target.closest("[data-row]");
  if (event.target.matches('[name="_selected_action"]')) {
    tick(rows.indexOf(row), event.target.checked, event.shiftKey);
  } else if (event.target.closest("[data-select-all]")) {
    selectAll(true);
  } else if (event.target.closest("[data-select-none]")) {
    selectAll(false);
    linkOf(rows[Math.max(current, 0)])?.focus();
  }
});

/* --- Who may be chosen: people who work in the department --- */

function offer(select, departments) {
  for (const option of select.options) {
    const works = option.dataset.departments;
    if (works === undefined) continue;
    const those = works.trim().split(" ");
    option.hidden = option.disabled =
      works !== "all" && !departments.every((one) => those.includes(one));
  }
  if (select.selectedOptions[0]?.disabled) select.value = "";
}

function offerPeopleOfRows() {
  const departments = [...new Set(selected().map((row) => boxOf(row).dataset.department))];
  for (const select of form.querySelectorAll("[data-people-of-rows]")) offer(select, departments);
}

for (const select of form?.querySelectorAll("[data-people-of]") ?? []) {
  const department = form.elements[select.dataset.peopleOf];
  const refresh = () => offer(select, department.value ? [department.value] : []);
  department.addEventListener("change", refresh);
  refresh();
}

/* --- Nothing is sent twice --- */

form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

window.addEventListener("pageshow", () => {
  if (form) delete form.dataset.sent;
  showSelection(); // the browser brings ticks back with the page
});

/* --- Keys --- */

function actOnSelection(key) {
  const control = form?.querySelector(`[data-list-key="${key}"]`);
  if (!control) return false;
  if (!selected().length) {
    if (current < 0) return false;
    tick(current, true, false);
  }
  if (control.matches("details")) {
    control.open = true;
    control.querySelector(".pop :is(select, textarea, input)")?.focus();
  } else {
    control.click();
  }
  return true;
}

/* Before console.js, which closes menus with the same key. */
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Escape" || document.querySelector("details.menu[open], dialog[open]")) return;
    if (!isTyping(event.target) && selected().length) selectAll(false);
  },
  { capture: true },
);

const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, .pop");

function singleKey(event) {
  switch (event.key) {
    case "j":
      return move(1);
    case "k":
      return move(-1);
    case "x":
    case "X":
      if (current < 0) return false;
      return tick(current, event.shiftKey || !boxOf(rows[current]).checked, event.shiftKey);
    default:
      return actOnSelection(event.key);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
  if (["ArrowDown", "ArrowUp"].includes(event.key) && event.target.closest("[data-row]")) {
    move(event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
  } else if ("singleKeys" in document.body.dataset && singleKey(event)) {
    event.preventDefault();
  }
});
