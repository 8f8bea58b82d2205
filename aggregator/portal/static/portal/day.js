/* The market day: one half hour and one side (before / after) for map, heat map and line table.
   The map's loadings of all half hours are there from the start; moving only replaces columns. */
"use strict";
(() => {
  const LABELLED_PERCENT = 80;
  const FULL_PERCENT = 100;
  const STEP_MS = 280;
  const LABEL_PX = { width: 64, height: 15 };
  const TOLD_PX = { width: 130, height: 16 };
  const charts = new Map();
  const chosen = { t: 0, when: "before", view: 0 };
  let playing = null;
  let fetching = null;

  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  const source = (chart, name) => chart.document.get_model_by_name(name);
  const clock = (t) => `${String(Math.floor(t / 2)).padStart(2, "0")}:${t % 2 ? "30" : "00"}`;

  /* Lines whose loading is written: from 80 %, the worst first, none on top of another. */
  function toldOf(loading, { x, y }, scale) {
    const told = new Set();
    const worst = loading.map((_, i) => i).sort((a, b) => loading[b] - loading[a]);
    for (const i of worst) {
      const near = (j) => Math.abs(x[i] - x[j]) < TOLD_PX.width * scale && Math.abs(y[i] - y[j]) < TOLD_PX.height * scale;
      if (loading[i] >= LABELLED_PERCENT && ![...told].some(near)) told.add(i);
    }
    return told;
  }

  function mapPaint(chart) {
    const { frames } = chart;
    const loading = frames[chosen.when].map((row) => row[chosen.t]);
    const lines = source(chart, "lines");
    lines.data = { ...lines.data, shown: loading };
    const words = source(chart, "loadings");
    const over = loading.map((value) => Math.round(value) > FULL_PERCENT);
    const told = toldOf(loading, words.data, chart.scale ?? 0);
    words.data = {
      ...words.data,
      text: loading.map((value, i) => (told.has(i) ? `${frames.names[i]} ${Math.round(value)}%` : "")),
      colour: over.map((is) => (is ? frames.colours.over : frames.colours.quiet)),
      style: over.map((is) => (is ? "bold" : "normal")),
    };
  }

  /* The server places labels for a wide panel; on a narrow one, those that would touch stay out. */
  function labelsThin(labels, scale) {
    const kept = [];
    labels.text.forEach((text, i) => {
      const near = (j) => Math.abs(labels.x[i] - labels.x[j]) < LABEL_PX.width * scale
        && Math.abs(labels.y[i] - labels.y[j]) < LABEL_PX.height * scale
        && labels.align[i] === labels.align[j];
      if (!kept.some(near)) kept.push(i);
    });
    return Object.fromEntries(Object.entries(labels).map(([name, column]) => [name, kept.map((i) => column[i])]));
  }

  /* Shows a view's box whole, in the true shape of the land. */
  function mapFit(chart) {
    const { model, frames } = chart;
    const view = frames.views[chosen.view] ?? frames.views[0];
    const [width, height] = [model.inner_width, model.inner_height];
    if (!view || !width || !height) return;
    const [left, right, bottom, top] = view.box;
    const scale = Math.max((right - left) / width, (top - bottom) / height);
    const [x, y] = [(left + right) / 2, (bottom + top) / 2];
    model.x_range.setv({ start: x - (scale * width) / 2, end: x + (scale * width) / 2 });
    model.y_range.setv({ start: y - (scale * height) / 2, end: y + (scale * height) / 2 });
    source(chart, "names").data = labelsThin(view.labels, scale);
    chart.scale = scale;
    mapPaint(chart);
  }

  function heatPaint(chart) {
    const cells = source(chart, "cells");
    cells.data = { ...cells.data, shown: cells.data[chosen.when] };
    const peaks = source(chart, "peaks");
    peaks.data = { ...peaks.data, x: peaks.data[`x_${chosen.when}`], text: peaks.data[`text_${chosen.when}`] };
    chart.document.get_model_by_name("half-hour").setv({ left: chosen.t, right: chosen.t + 1 });
  }

  function paint() {
    const map = charts.get("network");
    const heat = charts.get("loading");
    if (map) mapPaint(map);
    if (heat) heatPaint(heat);
    all("[data-koma-face]").forEach((face) => {
      face.querySelector("b").textContent = clock(chosen.t);
      face.querySelector("span").textContent = `${face.dataset.komaFace}${chosen.t + 1}`;
    });
    all("[data-when]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.when === chosen.when)));
  }

  /* The table beside the charts is the server's; it follows when the hand rests. */
  function tableFetch(range) {
    clearTimeout(fetching);
    fetching = setTimeout(() => htmx.trigger(range, "koma:rest"), 250);
  }

  function komaSet(t) {
    const range = one("input[data-koma]");
    chosen.t = Math.min(47, Math.max(0, t));
    if (range) {
      range.value = chosen.t + 1;
      range.setAttribute("aria-valuetext", `${clock(chosen.t)}–${clock(chosen.t + 1)}`);
      tableFetch(range);
    }
    paint();
  }

  function playStop(button) {
    clearInterval(playing);
    playing = null;
    button.setAttribute("aria-pressed", "false");
  }

  function playToggle(button) {
    if (playing) return playStop(button);
    button.setAttribute("aria-pressed", "true");
    playing = setInterval(() => komaSet((chosen.t + 1) % 48), STEP_MS);
  }

  document.addEventListener("chart:ready", (event) => {
    const name = event.target.dataset.name;
    const chart = event.detail;
    charts.set(name, chart);
    if (name === "network") {
      mapFit(chart);
      for (const side of ["inner_width", "inner_height"]) chart.model.properties[side].change.connect(() => mapFit(chart));
    }
    if (name === "loading") {
      // on a phone the chart is wider than its box: begin where the chosen half hour is
      event.target.scrollLeft = (chosen.t / 48) * event.target.scrollWidth - event.target.clientWidth / 2;
      const cells = source(chart, "cells");
      cells.selected.properties.indices.change.connect(() => {
        const [index] = cells.selected.indices;
        if (index !== undefined) komaSet(index % 48);
      });
    }
    paint();
    all("figure[data-chart]").every((figure) => ["shown", "failed"].includes(figure.dataset.state))
      && document.documentElement.setAttribute("data-charts", "shown");
  });

  addEventListener("DOMContentLoaded", () => {
    const range = one("input[data-koma]");
    if (!range) return;
    chosen.t = Number(range.value) - 1;
    range.addEventListener("input", () => komaSet(Number(range.value) - 1));
    all("[data-when]").forEach((button) => button.addEventListener("click", () => {
      chosen.when = button.dataset.when;
      paint();
    }));
    all("[data-play]").forEach((button) => button.addEventListener("click", () => playToggle(button)));
    all("select[data-view]").forEach((select) => {
      document.addEventListener("chart:ready", (event) => {
        if (event.target.dataset.name !== "network" || select.options.length) return;
        event.detail.frames.views.forEach((view, i) => select.add(new Option(view.name, String(i))));
      });
      select.addEventListener("change", () => {
        chosen.view = Number(select.value);
        if (charts.has("network")) mapFit(charts.get("network"));
      });
    });
  });
})();
