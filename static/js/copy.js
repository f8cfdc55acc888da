/* Buttons that copy a text, or the address of the page. */

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea"); // a page without https has no clipboard
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const detail = { text: document.body.dataset.copied, tone: "ok" };
  document.dispatchEvent(new CustomEvent("toast", { detail }));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-link]");
  if (button) copy("copyLink" in button.dataset ? location.href.split("#")[0] : button.dataset.copy);
});
