/* A session's page: the JSON on the clipboard (a download without a script), and forms that go off
   once. */

const SHOWN_FOR = 2000; // ms

/* A form goes off once. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});

window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

async function copyFrom(link) {
  const answer = await fetch(link.href, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  await navigator.clipboard.writeText(await answer.text());
  const label = link.querySelector("[data-copy-label]");
  const before = label.textContent;
  if (before === link.dataset.copied) return;
  label.textContent = link.dataset.copied;
  setTimeout(() => { label.textContent = before; }, SHOWN_FOR);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-copy-from]");
  if (!link || !navigator.clipboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  copyFrom(link).catch(() => { location.href = link.href; });
});
