/* A conversation that stays up to date, and a box that sends with Ctrl+Enter. */

const LONGEST_PAUSE = 60_000;
const failures = new WeakMap(); // element that polls → [failures in a row, not before]

/* Polls rest in a hidden tab, and after an error twice as long each time. */
document.addEventListener("htmx:beforeRequest", (event) => {
  const poller = event.detail.elt;
  if (!poller.matches("[data-poll]")) return;
  const [, notBefore] = failures.get(poller) ?? [0, 0];
  if (document.hidden || Date.now() < notBefore) event.preventDefault();
});

document.addEventListener("htmx:afterRequest", (event) => {
  const poller = event.detail.elt;
  if (!poller.matches("[data-poll]")) return;
  if (event.detail.successful || event.detail.xhr.status === 204) {
    failures.delete(poller);
    return;
  }
  const count = (failures.get(poller)?.[0] ?? 0) + 1;
  failures.set(poller, [count, Date.now() + Math.min(LONGEST_PAUSE, 3000 * 2 ** count)]);
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const poller of document.querySelectorAll("[data-poll][hx-get]")) {
    window.htmx?.trigger(poller, "refresh");
  }
});

/* A bubble that a poll and an answer both bring appears once. */
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (!target.matches("ol.thread")) return;
  for (const item of fragment?.querySelectorAll?.("li[id^='message-']") ?? []) {
    if (document.getElementById(item.id)) item.remove();
  }
});

/* What an answer has to bring along: everything after the last bubble on the page. */
document.addEventListener("htmx:configRequest", (event) => {
  const thread = event.detail.elt.dataset?.after;
  if (!thread) return;
  const last = document.querySelector(`#${thread} > [id^='message-']:last-of-type`);
  event.detail.parameters.set("after", last ? last.id.slice("message-".length) : "0");
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const form = event.target.closest("form[data-sends-by-ctrl-enter]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
});
