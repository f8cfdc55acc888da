/* The page of a lead: questions of the server appear as dialogs, the box for a note grows, and a
   menu of tags gives the field the focus. */

const dialog = document.getElementById("lead-dialog");

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== dialog || !dialog.firstElementChild) return;
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("input:not([type=hidden])") ?? dialog.querySelector("[data-closes]"))?.focus();
});

/* With the dialog open, "Cancel" is a button; without a script it is a link back. */
dialog?.addEventListener("click", (event) => {
  if (event.target.closest("[data-closes]")) event.preventDefault();
});

document.addEventListener("lead-changed", () => dialog?.close());

document.addEventListener("input", (event) => {
  if (event.target.id !== "lead-note") return;
  event.target.rows = Math.min(event.target.value.split("\n").length, 8);
});

document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches?.(".tag-add[open]")) event.target.querySelector(".inp").focus();
  },
  true,
);
