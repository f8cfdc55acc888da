/* A thread that stays up to date: nothing appears twice, and every question says what is shown. */

/* What a poll and an answer both bring appears once; what has arrived leaves the outbox. */
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (!target.matches("ol.thread")) return;
  for (const item of fragment?.querySelectorAll?.("li[id]") ?? []) {
    if (document.getElementById(item.id)) item.remove();
    else if (item.dataset.client) leaveOutbox(item.dataset.client);
  }
});

function leaveOutbox(client) {
  for (const waiting of document.querySelectorAll(".outbox [data-waiting]")) {
    if (waiting.dataset.waiting === client) {
      waiting.dispatchEvent(new CustomEvent("atende:arrived", { bubbles: true }));
    }
  }
}

/* What an answer has to bring along: everything that the page does not show yet. */
document.addEventListener("htmx:configRequest", (event) => {
  const { elt, verb, parameters } = event.detail;
  const within = elt.closest?.("[data-conversation], [data-composer]");
  if (!within || verb !== "post") return;
  const session = within.dataset.conversation ?? within.dataset.composer;
  const shown = document.getElementById(`poller-${session}`)?.dataset.shown;
  for (const [name, value] of new URLSearchParams(shown)) parameters.set(name, value);
});

/* Why the bot said something: beside the conversation, in a dialog of its own. */
let why;

function whyDialog(title) {
  if (!why) {
    why = document.createElement("dialog");
    why.className = "dlg why";
    why.setAttribute("aria-labelledby", "why-title");
    const head = document.createElement("h2");
    head.id = "why-title";
    const body = document.createElement("div");
    body.className = "dlg-b";
    const foot = document.createElement("form");
    foot.className = "dlg-f";
    foot.method = "dialog";
    const close = document.createElement("button");
    close.className = "btn";
    close.autofocus = true;
    foot.append(close);
    why.append(head, body, foot);
    document.body.append(why);
    why.addEventListener("click", (event) => {
      if (event.target === why) why.close();
    });
  }
  why.querySelector("h2").textContent = title;
  return why;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-why]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !window.htmx) return;
  event.preventDefault();
  const dialog = whyDialog(link.title);
  const words = document.querySelector("[data-words]")?.dataset;
  dialog.querySelector(".dlg-f .btn").textContent = words?.close ?? "×";
  const body = dialog.querySelector(".dlg-b");
  body.replaceChildren();
  dialog.showModal();
  window.htmx.ajax("GET", link.href, { target: body, swap: "innerHTML", source: body });
});
