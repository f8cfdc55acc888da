/* Names for controls that Django's own scripts and widgets make without one: the boxes of select2 and
   the two fields of a moment take the name of their field's label. */

const PARTS = ".select2-selection, .select2-selection__rendered[role=textbox], .select2-search__field";

function labelOf(id) {
  const field = document.getElementById(id);
  const label =
    document.querySelector(`label[for="${CSS.escape(id)}"]`) ??
    field?.closest("fieldset, .form-row")?.querySelector("legend, label");
  return label?.textContent.replace(/:\s*$/, "").trim();
}

function nameBox(box) {
  const label = labelOf(box.previousElementSibling?.id ?? "");
  /* The cross that empties the box stands in the list of what was chosen. */
  for (const one of box.querySelectorAll("ul.select2-selection__rendered > :not(li)")) one.setAttribute("role", "listitem");
  if (!label) return;
  for (const part of box.querySelectorAll(PARTS)) part.setAttribute("aria-label", label);
}

function nameMoment(field) {
  const label = labelOf(field.id);
  const kind = field.previousSibling?.textContent.replace(/:\s*$/, "").trim();
  if (label) field.setAttribute("aria-label", [label, kind].filter(Boolean).join(", "));
}

function nameAll(root) {
  for (const box of root.querySelectorAll("select + .select2-container")) nameBox(box);
  for (const field of root.querySelectorAll("p.datetime input")) nameMoment(field);
}

/* select2 comes after the page, and with each row that is added to a form. */
new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    if (!addedNodes.length) continue;
    nameAll(target);
    const box = target.closest(".select2-container"); // it draws anew what was chosen
    if (box) nameBox(box);
  }
}).observe(document.body, { childList: true, subtree: true });

nameAll(document);
