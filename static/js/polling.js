/* Parts that ask for news: an element with data-poll, hx-get and hx-trigger="every 10s, refresh".
   They rest in a hidden tab, ask once when one comes back, ask half as often after each error, and a
   strip says that the connection is lost. (An expired login leads to the login page by HX-Redirect.) */

const LONGEST_PAUSE = 60_000;
const failures = new WeakMap(); // element that polls → [failures in a row, not before]

/* Milliseconds between two requests, as the element says. */
function interval(poller) {
  const [, number, unit] = /every\s+([\d.]+)(ms|s|m)?/.exec(poller.getAttribute("hx-trigger") ?? "") ?? [];
  return Number(number ?? 10) * { ms: 1, s: 1000, m: 60_000 }[unit ?? "s"];
}

function failed(poller) {
  const count = (failures.get(poller)?.[0] ?? 0) + 1;
  failures.set(poller, [count, Date.now() + Math.min(LONGEST_PAUSE, interval(poller) * 2 ** count) - 500]);
  showOffline(true);
}

function showOffline(isOffline) {
  const strip = document.getElementById("offline");
  if (strip) strip.hidden = !isOffline;
}

function refreshAll() {
  for (const poller of document.querySelectorAll("[data-poll][hx-get]")) {
    failures.delete(poller);
    window.htmx?.trigger(poller, "refresh");
  }
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const poller = event.detail.elt;
  if (!poller.matches("[data-poll]")) return;
  const [, notBefore] = failures.get(poller) ?? [0, 0];
  if (document.hidden || Date.now() < notBefore) event.preventDefault();
});

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => {
    if (event.detail.elt.matches("[data-poll]")) failed(event.detail.elt);
    else showOffline(true);
  });
}

document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.elt.matches("[data-poll]")) failed(event.detail.elt);
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  failures.delete(event.detail.elt);
  showOffline(false);
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refreshAll();
});

window.addEventListener("offline", () => showOffline(true));
window.addEventListener("online", refreshAll);
