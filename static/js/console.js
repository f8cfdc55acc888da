/* What every page of the console has: menus, dialogs, keys, toasts that can be undone, clocks. */

/* ---- menus: they close with Escape and by a click elsewhere; the phone's drawer with Escape ---- */

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details.menu"));
});

function escape(event) {
  const menu = event.target.closest?.("details.menu[open]");
  closeMenus();
  menu?.querySelector("summary").focus();
  if (location.hash === "#nav-sidebar") location.hash = "#content-start";
}

/* What a menu shows is asked for when it opens. */
document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (menu.matches("details[data-loads]") && menu.open) {
      window.htmx.trigger(menu.querySelector("[hx-get]"), "opened");
    }
  },
  true, // a toggle does not bubble
);

/* ---- dialogs: data-opens names one, data-closes closes the one around it, as a click beside it does ---- */

function open(dialog) {
  if (!dialog || dialog.open) return;
  closeMenus();
  dialog.showModal();
  dialog.querySelector("input[type=search]")?.select();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  const dialog = opener && document.getElementById(opener.dataset.opens);
  if (dialog) {
    event.preventDefault();
    open(dialog);
  }
  if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
  if (event.target.matches("dialog.dlg[data-light]")) event.target.close(); // its backdrop
});

/* ---- what is typed into a password field can be looked at ---- */

for (const eye of document.querySelectorAll("[data-reveals]")) eye.hidden = false;

document.addEventListener("click", (event) => {
  const eye = event.target.closest("[data-reveals]");
  if (!eye) return;
  const field = document.getElementById(eye.dataset.reveals);
  const isShown = field.type === "password";
  field.type = isShown ? "text" : "password";
  eye.setAttribute("aria-pressed", String(isShown));
});

/* ---- keys: data-key="a" is clicked (a field: focused) by that key, data-go="n" by G and then it ---- */

const FIELDS = "input, textarea, select, [contenteditable=''], [contenteditable=true], [role=listbox], [role=menu]";
const SEQUENCE = 1500; // milliseconds between G and the second key
let wentAt = 0;

/* Something that is shown comes first, then what a closed menu holds; where G leads is never shown. */
function ranked(element) {
  if (element.disabled) return 0;
  if (element.matches("[data-go]")) return 1;
  if (element.checkVisibility()) return 3;
  const menu = element.closest("details.menu:not([open])");
  return menu?.checkVisibility() ? 2 : 0;
}

function isTyping(target) {
  return Boolean(target.closest?.(FIELDS) || document.querySelector("dialog[open], details.menu[open], :popover-open"));
}

function press(element) {
  if (element.matches("input:not([type=checkbox], [type=radio], [type=submit], [type=button]), textarea, select")) {
    element.focus();
    element.select?.();
  } else element.click();
}

function find(attribute, key) {
  const found = Array.from(document.querySelectorAll(`[${attribute}="${CSS.escape(key)}"]`));
  const usable = found.filter((element) => ranked(element) > 0);
  return usable.sort((one, other) => ranked(other) - ranked(one))[0];
}

function single(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (Date.now() - wentAt < SEQUENCE) {
    wentAt = 0;
    return find("data-go", key);
  }
  if (key === "g") {
    wentAt = Date.now();
    return null;
  }
  return find("data-key", key);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if (event.key === "Escape") return escape(event);
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    const dialog = document.getElementById("search-dialog");
    if (dialog) event.preventDefault();
    return open(dialog);
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!("singleKeys" in document.body.dataset) || isTyping(event.target)) return;
  const element = single(event);
  if (!element) return;
  event.preventDefault();
  press(element);
});

/* ---- search: arrows choose a result while one types on, Enter opens it ---- */

const searchDialog = document.getElementById("search-dialog");
const searchField = searchDialog?.querySelector("input[type=search]");

function choose(step) {
  const options = Array.from(searchDialog.querySelectorAll("[role=option]"));
  const old = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  const next = options[(old + step + options.length + (old < 0 && step < 0 ? 1 : 0)) % options.length];
  options[old]?.setAttribute("aria-selected", "false");
  next?.setAttribute("aria-selected", "true");
  next?.scrollIntoView({ block: "nearest" });
  if (next) searchField.setAttribute("aria-activedescendant", next.id);
  else searchField.removeAttribute("aria-activedescendant");
}

searchField?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter") {
    const chosen = searchDialog.querySelector("[aria-selected=true]");
    if (!chosen) return; // the form leads to the page of all results
    event.preventDefault();
    chosen.click();
  }
});

searchDialog?.addEventListener("htmx:afterSwap", () => {
  searchField.removeAttribute("aria-activedescendant");
  const isFull = Boolean(searchDialog.querySelector("[role=option]"));
  searchField.setAttribute("aria-expanded", String(isFull));
  if (isFull) choose(1);
});

/* ---- toasts: the answer to an htmx request says HX-Trigger: {"toast": {"text", "undo"}} ---- */

const SHOWN = 8000; // milliseconds

function toast({ text, undo, tone = "ok" }) {
  const list = document.getElementById("toasts");
  const template = document.getElementById("toast-template");
  if (!list || !template || !text) return;
  const item = template.content.firstElementChild.cloneNode(true);
  item.classList.add(tone);
  item.querySelector("[data-text]").textContent = text;
  for (const icon of item.querySelectorAll("[data-tone]")) icon.hidden = icon.dataset.tone !== tone;
  const button = item.querySelector("[data-undo]");
  if (undo) {
    for (const older of list.querySelectorAll("[data-undo]")) older.remove(); // Z undoes the last one
    button.addEventListener("click", () => {
      item.remove();
      window.htmx.ajax("POST", undo, { source: document.body, swap: "none" }).then(() => {
        for (const poller of document.querySelectorAll("[data-poll][hx-get]")) window.htmx.trigger(poller, "refresh");
      });
    });
  } else button.remove();
  list.append(item);
  let timer = setTimeout(() => item.remove(), SHOWN);
  item.addEventListener("pointerenter", () => clearTimeout(timer));
  item.addEventListener("focusin", () => clearTimeout(timer));
  for (const name of ["pointerleave", "focusout"]) {
    item.addEventListener(name, () => {
      clearTimeout(timer);
      timer = setTimeout(() => item.remove(), SHOWN);
    });
  }
}

document.addEventListener("toast", (event) => toast(event.detail));

/* An answer that says something and leads to another page: it is said there. */
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr } }) => {
  const said = xhr.getResponseHeader("HX-Trigger");
  if (xhr.getResponseHeader("HX-Redirect") && said?.includes('"toast"')) sessionStorage.setItem("toast", said);
});

const carried = sessionStorage.getItem("toast");
sessionStorage.removeItem("toast");
if (carried) toast(JSON.parse(carried).toast);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-dismiss]")) event.target.closest(".toast")?.remove();
});

/* An answer that htmx does not swap in (403, 404, 5xx) must not be silence. Polls have their strip. */
document.addEventListener("htmx:responseError", (event) => {
  const { elt, xhr } = event.detail;
  if (elt.matches("[data-poll], [data-handles-errors]") || xhr.status === 401) return;
  const words = document.body.dataset;
  toast({ text: xhr.status < 500 ? words.refused : words.broken, tone: "bad" });
});

/* ---- clocks: [data-due] counts down to that moment (ISO, UTC), in its [data-left] or last text ---- */

const MINUTE = 60_000;
const RISK = 15 * MINUTE;

function inWords(milliseconds) {
  const minutes = Math.floor(Math.abs(milliseconds) / MINUTE);
  const words = document.body.dataset;
  const fill = (text, name, value) => (text ?? `%(${name})d`).replace(`%(${name})d`, value);
  if (minutes < 1 && milliseconds > 0) return fill(words.seconds, "seconds", Math.ceil(milliseconds / 1000));
  if (minutes < 60) return fill(words.minutes, "minutes", minutes);
  if (minutes < 24 * 60) {
    const rest = minutes % 60;
    return fill(words.hours, "hours", Math.floor(minutes / 60)) + (rest ? ` ${String(rest).padStart(2, "0")}` : "");
  }
  return null; // days: what the server said is right for longer than a page is open
}

function tick(element, now) {
  const left = Date.parse(element.dataset.due) - now;
  const words = inWords(left);
  if (!words) return;
  const text = left > 0 ? words : document.body.dataset.late.replace("%(time)s", words);
  const place = element.querySelector("[data-left]");
  if (place) {
    if (place.textContent !== text) place.textContent = text;
  } else if (element.lastChild?.nodeType === Node.TEXT_NODE) element.lastChild.data = text;
  if (!element.matches(".sla")) return;
  element.classList.toggle("late", left <= 0);
  element.classList.toggle("risk", left > 0 && (left < RISK || element.classList.contains("risk")));
}

let tickedAt = 0;
setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  const isFull = now - tickedAt >= 30_000;
  if (isFull) tickedAt = now;
  for (const element of document.querySelectorAll("[data-due]")) {
    const left = Date.parse(element.dataset.due) - now;
    if (isFull || Math.abs(left) < MINUTE + 1000) tick(element, now);
  }
}, 1000);

/* ---- a field that posts as soon as it is changed ---- */

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form?.requestSubmit();
});
