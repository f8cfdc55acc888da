/* The page of a ticket: the panel that folds away, what is copied, what hides again, who is here. */

const page = document.querySelector("[data-workspace]");
const KEPT = "atende.ticket"; // which parts are folded, for all tickets

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // private browsing
  }
}

function keep(name, isFolded) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ ...kept(), [name]: isFolded }));
  } catch {
    /* kept for this page only */
  }
}

/* ---- the panel on the right and its sections stay as they were left ---- */

function showFolds() {
  const folded = kept();
  page.classList.toggle("is-wide", Boolean(folded.panel));
  for (const button of document.querySelectorAll("[data-toggles-context]")) {
    button.setAttribute("aria-expanded", String(!folded.panel));
  }
  for (const section of document.querySelectorAll("[data-section]")) {
    if (section.dataset.section in folded) section.open = !folded[section.dataset.section];
  }
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-toggles-context]")) return;
  keep("panel", !page.classList.contains("is-wide"));
  showFolds();
});

document.addEventListener(
  "toggle",
  (event) => {
    const { section } = event.target.dataset ?? {};
    if (section && event.target.isConnected) keep(section, !event.target.open);
  },
  true, // it does not bubble
);

/* ---- the sheets over the page and the phone's panel ---- */

document.addEventListener("click", (event) => {
  const menu = event.target.closest("[popovertarget]")?.closest("details.menu");
  if (menu) menu.open = false;
});

/* A form that comes back with what is wrong with it is seen, also when another button sent it. */
document.addEventListener("htmx:afterSettle", (event) => {
  const sheet = event.detail.elt.closest?.(".sheet[popover]");
  if (sheet?.querySelector("[role=alert]") && !sheet.matches(":popover-open")) sheet.showPopover();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && location.hash === "#contexto") location.hash = "#content-start";
});

/* ---- Alt with an arrow goes to the next ticket of the column ---- */

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const links = Array.from(document.querySelectorAll("#ticket-queue a.q"));
  const here = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[here < 0 ? 0 : here + step];
  event.preventDefault();
  if (next) location.assign(next.href);
});

/* ---- a shown answer hides again ---- */

const SHOWN = 30_000; // milliseconds

function hideLater(row) {
  setTimeout(() => {
    if (!row.isConnected) return;
    row.querySelector("dd").textContent = row.dataset.hides;
    row.querySelector("[data-copy]")?.remove();
    row.querySelector("form").hidden = false;
    row.removeAttribute("data-hides");
  }, SHOWN);
}

function hideShown() {
  for (const row of document.querySelectorAll("[data-hides]:not([data-hiding])")) {
    row.dataset.hiding = "";
    hideLater(row);
  }
}

/* ---- fields that are saved as they change: what was stored comes back when that fails ---- */

function bringBack(event) {
  const form = event.detail.elt.closest("[data-saves]");
  const field = form?.querySelector("[data-stored]");
  if (!field) return;
  field.value = field.dataset.stored;
  say(page.dataset.kept, "bad");
}

for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, bringBack);

/* ---- who is here, and who writes ---- */

const SOON = 5000; // milliseconds
const beat = document.getElementById("presence-beat");
let isWriting = false;
let beatAt = 0;

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt !== beat) return;
  if (isWriting) event.detail.parameters.set("writing", "1");
  isWriting = false;
  beatAt = Date.now();
});

document.addEventListener("atende:writing", () => {
  isWriting = true;
  if (Date.now() - beatAt >= SOON) window.htmx.trigger(beat, "refresh");
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) window.htmx.trigger(beat, "refresh");
});

/* Out of this person's sight: nothing is asked for any more, and what was written stays to be read. */
document.addEventListener("htmx:responseError", (event) => {
  const { elt, xhr } = event.detail;
  if (xhr.status !== 404 || !elt.matches("[data-poll]") || !beat.isConnected) return;
  if (elt !== beat) {
    window.htmx.trigger(beat, "refresh"); // which says whether it is this
    return;
  }
  for (const poller of document.querySelectorAll("[data-poll]")) poller.remove();
  document.getElementById("ticket-head").append(document.getElementById("lost-note").content.cloneNode(true));
  setTimeout(() => (document.getElementById("offline").hidden = true)); // the connection is well
});

/* ---- the head changes under nobody's hands ---- */

const isBusy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");

document.addEventListener("htmx:beforeRequest", (event) => {
  const head = document.getElementById("ticket-head");
  if (event.detail.elt.id === "head-refresh" && head.querySelector(":popover-open, details[open]")) event.preventDefault();
});

document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (event.detail.target.id === "contexto" && isBusy(event.detail.target)) event.detail.shouldSwap = false;
});

/* Head and conversation show the same person as the one who has the ticket: whichever hears of
   another one first tells the other. */
const [MOVED, SHOWN_ANEW] = ["ticket-moved", "ticket-shown"];

function compareAssignees() {
  const known = document.querySelector(".conv input[name=seen_assignee]");
  const shown = document.getElementById("ticket-head").dataset.assignee;
  if (known && known.value !== shown && known.value !== asked) {
    asked = known.value; // once for each, or two that never agree would ask for ever
    document.body.dispatchEvent(new CustomEvent(MOVED));
  }
}
let asked = null;

document.body.addEventListener(SHOWN_ANEW, () => {
  for (const poller of document.querySelectorAll(".conv [data-poll][hx-get]")) window.htmx.trigger(poller, "refresh");
});

/* ---- the card of the bot's handoff makes room as soon as somebody reads ---- */

const card = document.querySelector("[data-handoff]");
if (card) {
  const scroller = document.querySelector(".conv .scroller");
  if (matchMedia("(max-width: 820px)").matches) card.open = false;
  for (const name of ["wheel", "touchmove"]) {
    scroller?.addEventListener(name, () => (card.open = false), { passive: true, once: true });
  }
}

function settle() {
  showFolds();
  hideShown();
  compareAssignees();
}

document.addEventListener("htmx:afterSettle", settle);
settle();
