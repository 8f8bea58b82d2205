/* Single keys: to search, to the pages of the rail, to what is new here, and what keys there are. */
"use strict";
(() => {
  const SECOND_WITHIN_MS = 1_500;
  const first = (selector) => document.querySelector(selector);
  let asked_ms = -Infinity;

  /* A field is typed into, anything else is gone to. */
  function open(found) {
    if (!found) return false;
    if (found.matches("input, select, textarea")) found.focus();
    else found.click();
    return true;
  }

  function help() {
    const dialog = first("#keys");
    dialog.querySelectorAll("[data-needs]").forEach((row) => {
      row.hidden = !first(row.dataset.needs);
    });
    dialog.showModal();
    return true;
  }

  function press(key) {
    if (performance.now() - asked_ms < SECOND_WITHIN_MS) {
      asked_ms = -Infinity;
      return open(first(`.rail [data-goes="${CSS.escape(key)}"]`));
    }
    if (key === "g") asked_ms = performance.now();
    if (key === "/") return open(first("main input[type=search]"));
    if (key === "n") return open(first("main [data-new]") ?? first(".rail [data-goes=b]"));
    return key === "?" && help();
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.body.dataset.keys === "off" || first("dialog[open]")) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (press(event.key)) event.preventDefault();
  });
})();
