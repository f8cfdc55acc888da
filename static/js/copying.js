/* A button with data-copies="id" puts the text of that element on the clipboard, a line for each
   item of a list. It is shown where that works. */

for (const button of document.querySelectorAll("[data-copies]")) {
  if (!navigator.clipboard) continue; // needs https, or this machine
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    const items = Array.from(source.querySelectorAll("li"), (item) => item.textContent);
    await navigator.clipboard.writeText((items.length ? items : [source.textContent]).join("\n"));
    button.classList.add("is-done");
  });
}
