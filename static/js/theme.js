/* Light, dark or the system's: kept under the same key and attribute as the stock admin's file.
   Stands in <head> without defer, so that no page appears in the wrong theme first. */
(function () {
  "use strict";
  const root = document.documentElement;
  const order = ["auto", "light", "dark"];

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // private browsing
    }
  }

  let mode = order.includes(stored()) ? stored() : "auto";
  root.dataset.theme = mode;

  function label(button) {
    const text = button.dataset[mode];
    button.setAttribute("aria-label", text);
    button.title = text;
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const button of document.querySelectorAll(".theme-toggle")) {
      label(button);
      button.addEventListener("click", function () {
        mode = order[(order.indexOf(mode) + 1) % order.length];
        root.dataset.theme = mode;
        try {
          localStorage.setItem("theme", mode);
        } catch {
          /* kept for this page only */
        }
        document.querySelectorAll(".theme-toggle").forEach(label);
      });
    }
  });
})();
