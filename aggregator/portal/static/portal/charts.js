/* Fills every <figure data-chart> from its JSON: on load, when htmx swaps one in, and again in the
   other palette when the theme changes. Fires "chart:ready" with the document and, where the
   answer has them, the frames of a chart that moves.
   Bokeh is over a megabyte of script: it is run after the page's first frame, so that the page can
   be read and typed into before, and only where there is a chart. */
"use strict";
(() => {
  const { sheets, bokeh } = document.currentScript.dataset;
  const shown = new WeakMap();
  let library = null;

  const framed = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const run = (src) => new Promise((done, fail) => {
    const script = document.createElement("script");
    script.onload = done;
    script.onerror = () => fail(new Error(src));
    script.src = src;
    document.head.append(script);
  });

  /* One promise for all charts; one that failed is tried again by the next that asks. */
  function loaded() {
    library ??= framed().then(() => run(sheets)).then(() => run(bokeh)).catch((error) => {
      library = null;
      throw error;
    });
    return library;
  }

  const theme = () => document.documentElement.dataset.theme;

  function forget(figure) {
    const view = shown.get(figure);
    if (!view) return;
    const owner = view.model.document;
    view.remove();
    const at = Bokeh.documents.indexOf(owner);
    if (at >= 0) Bokeh.documents.splice(at, 1);
    shown.delete(figure);
  }

  function address(figure) {
    const url = new URL(figure.dataset.chart, location.href);
    url.searchParams.set("theme", theme());
    return url;
  }

  function fail(figure) {
    figure.dataset.state = "failed";
    const note = document.createElement("p");
    note.className = "chart-failed";
    note.textContent = figure.dataset.failed;
    figure.replaceChildren(note);
    figure.parentElement.querySelector("details")?.setAttribute("open", "");
  }

  async function draw(figure) {
    const turn = (Number(figure.dataset.turn) || 0) + 1;
    figure.dataset.turn = turn;
    try {
      const [answer] = await Promise.all([fetch(address(figure), { credentials: "same-origin" }), loaded()]);
      if (!answer.ok) throw new Error(`${answer.status} ${figure.dataset.chart}`);
      const { item, frames } = await answer.json();
      if (Number(figure.dataset.turn) !== turn || !figure.isConnected) return;
      forget(figure);
      figure.replaceChildren();
      const views = await Bokeh.embed.embed_item({ ...item, target_id: null }, figure);
      const [view] = [...views];
      shown.set(figure, view);
      figure.dataset.state = "shown";
      const detail = { model: view.model, document: view.model.document, frames };
      figure.dispatchEvent(new CustomEvent("chart:ready", { bubbles: true, detail }));
    } catch (error) {
      if (Number(figure.dataset.turn) === turn) fail(figure);
      console.error(error.stack ?? error);
    }
  }

  const figuresIn = (root) => [...root.querySelectorAll("figure[data-chart]")];
  const drawAll = (root) => figuresIn(root).forEach(draw);

  addEventListener("DOMContentLoaded", () => drawAll(document));
  addEventListener("theme:changed", () => drawAll(document));
  document.addEventListener("htmx:afterSwap", (event) => drawAll(event.detail.elt));
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    if (event.target.matches?.("figure[data-chart]")) forget(event.target);
  });
})();
