/* The bid editor: table and curve move each other, what is typed is checked and kept as one types. */
"use strict";
(() => {
  const CHECK_MS = 600;
  const SNAP_KW = 10;
  const LOW_JPY = 0.1;
  const STEPS_MAX = 20;
  const form = () => document.querySelector("[data-bid-form]");
  let chart = null;
  let timer = 0;
  let isOurs = false;

  const UNITS = { 千: 1e3, 万: 1e4, 億: 1e8 };
  function number(text) {
    const plain = text.normalize("NFKC").replace(/[,\s_]/g, "").replace(/[−‐–—ー]/g, "-");
    if (!plain) return null;
    let total = 0;
    const rest = plain.replace(/(\d+(?:\.\d*)?)([億万千])/g, (_, n, unit) => {
      total += Number(n) * UNITS[unit];
      return "";
    });
    const value = total + (rest ? Number(rest) : 0);
    return Number.isFinite(value) ? value : null;
  }
  const written = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  function rows() {
    return [...document.querySelectorAll("[data-step]")].map((row) => {
      const [kw, ask] = row.querySelectorAll("input");
      return { row, kw, ask, kw_value: number(kw.value), ask_value: number(ask.value) };
    });
  }
  const whole = (all) => all.filter((one) => one.kw_value > 0 && one.ask_value !== null);

  /* Steps as the market reads them: cheapest first when reducing, dearest first when taking. */
  function ordered() {
    const isDown = form().elements.direction?.value === "DOWN";
    return whole(rows()).sort((a, b) => (isDown ? b.ask_value - a.ask_value : a.ask_value - b.ask_value));
  }

  function sums() {
    let total = 0;
    rows().forEach((one) => {
      total += one.kw_value ?? 0;
      one.row.querySelector("[data-sum]").textContent = one.kw_value ? written(total, 0) : "";
    });
  }

  function redraw() {
    sums();
    if (!chart) return;
    const steps = ordered();
    const edges = [0];
    steps.forEach((one) => edges.push(edges.at(-1) + one.kw_value));
    const asks = steps.map((one) => Math.max(one.ask_value, LOW_JPY));
    const x = [], y = [];
    asks.forEach((ask, i) => { x.push(edges[i], edges[i + 1]); y.push(ask, ask); });
    isOurs = true;
    chart.source("steps").data = {
      left: edges.slice(0, -1), right: edges.slice(1), bottom: asks.map(() => LOW_JPY / 10), top: asks,
    };
    chart.source("outline").data = { x, y };
    chart.source("handles").data = { x: edges.slice(1), y: asks };
    isOurs = false;
    const total = edges.at(-1);
    if (total > chart.model.x_range.end) chart.model.x_range.end = total * 1.1;
    const top = Math.max(...asks, 0);
    if (top > chart.model.y_range.end) chart.model.y_range.end = top * 1.6;
  }

  /* A handle was dragged: snap to 10 kW and 0.01 yen, keep the steps in order, write the table. */
  function dragged() {
    if (isOurs) return;
    const { x, y } = chart.source("handles").data;
    const steps = ordered();
    if (x.length !== steps.length) { redraw(); return; }
    const isDown = form().elements.direction?.value === "DOWN";
    let before_kw = 0;
    let before_ask = isDown ? Infinity : -Infinity;
    steps.forEach((one, i) => {
      const edge = Math.max(before_kw + SNAP_KW, Math.round(x[i] / SNAP_KW) * SNAP_KW);
      let ask = Math.round(y[i] * 100) / 100;
      ask = isDown ? Math.min(ask, before_ask) : Math.max(ask, before_ask);
      if (edge - before_kw !== one.kw_value) one.kw.value = written(edge - before_kw, 0);
      if (ask !== one.ask_value) one.ask.value = written(ask, 2);
      before_kw = edge;
      before_ask = ask;
    });
    redraw();
    later();
  }

  function strip() {
    const { t_first: first, t_end: end } = form().elements;
    document.querySelectorAll("[data-strip] i").forEach((cell) => {
      const t = Number(cell.dataset.t);
      cell.toggleAttribute("data-in", t >= Number(first.value) && t < Number(end.value));
    });
  }

  function live() {
    const node = document.getElementById("live");
    if (!node) return;
    const told = JSON.parse(node.textContent);
    for (const input of form().querySelectorAll("input.in, select.in, textarea.in")) {
      const wrong = told.errors[input.name];
      input.toggleAttribute("aria-invalid", Boolean(wrong));
      if (wrong) input.setAttribute("aria-invalid", "true");
      input.title = wrong ?? "";
    }
    document.querySelectorAll("#bid-form .field > .wrong, .steps .wrong").forEach((one) => one.remove());
    ordered().forEach((one, i) => {
      one.row.querySelector("[data-margin]").textContent = told.margins[i] ?? "";
    });
  }

  function check() {
    const box = form();
    if (!box || box.dataset.sent) return;
    htmx.ajax("POST", box.dataset.check, { source: box, target: "#meaning" });
  }
  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => { timer = 0; check(); }, CHECK_MS);
  }
  /* Who leaves within that time has what they typed saved all the same. */
  function leave() {
    const box = form();
    if (!timer || !box || box.dataset.sent) return;
    clearTimeout(timer);
    timer = 0;
    navigator.sendBeacon(box.dataset.check, new FormData(box));
  }

  function stepAdd() {
    const all = document.querySelectorAll("[data-step]");
    if (all.length >= STEPS_MAX) return;
    const row = all[all.length - 1].cloneNode(true);
    const n = all.length;
    row.querySelector("[data-n]").textContent = n + 1;
    row.querySelectorAll("[data-sum], [data-margin]").forEach((cell) => { cell.textContent = ""; });
    row.querySelectorAll(".wrong").forEach((one) => one.remove());
    row.querySelectorAll("input").forEach((input) => {
      const kind = input.name.split("_")[0];
      input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+/, n + 1));
      Object.assign(input, { name: `${kind}_${n}`, id: `id_${kind}_${n}`, value: "" });
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    });
    all[all.length - 1].after(row);
    document.querySelector("[data-step-count]").textContent = `${n + 1} / ${STEPS_MAX}`;
    row.querySelector("input").focus();
  }

  function reset() {
    const floors = JSON.parse(document.getElementById("floors").textContent);
    while (document.querySelectorAll("[data-step]").length < floors.length) stepAdd();
    rows().forEach((one, i) => {
      one.kw.value = floors[i] ? written(floors[i][0], 0) : "";
      one.ask.value = floors[i] ? written(floors[i][1], 2) : "";
    });
    redraw();
    later();
  }

  /* A table pasted from a spreadsheet fills rows from the field it is pasted into. */
  function paste(event) {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!event.target.closest("[data-step]") || !/[\t\n]/.test(text.trim())) return;
    event.preventDefault();
    const lines = text.trim().split(/\r?\n/).map((line) => line.split("\t"));
    const row_at = [...document.querySelectorAll("[data-step]")].indexOf(event.target.closest("[data-step]"));
    const column = event.target.name.startsWith("kw") ? 0 : 1;
    while (rows().length < Math.min(STEPS_MAX, row_at + lines.length)) stepAdd();
    const all = rows();
    lines.forEach((cells, i) => cells.forEach((cell, j) => {
      const input = [all[row_at + i]?.kw, all[row_at + i]?.ask][column + j];
      if (input) input.value = cell.trim();
    }));
    redraw();
    later();
  }

  addEventListener("DOMContentLoaded", () => {
    const box = form();
    if (!box) return;
    sums();
    strip();
    box.addEventListener("input", () => { redraw(); strip(); later(); });
    box.addEventListener("change", () => { redraw(); strip(); later(); });
    box.addEventListener("paste", paste);
    box.addEventListener("submit", () => { clearTimeout(timer); timer = 0; });
    addEventListener("pagehide", leave);
    box.addEventListener("click", (event) => {
      if (event.target.closest("[data-add]")) stepAdd();
      if (event.target.closest("[data-reset]")) reset();
      const cell = event.target.closest("[data-strip] i");
      if (cell) pick(Number(cell.dataset.t));
    });
    /* A step's field in use is the accent handle and the marked row. */
    box.addEventListener("focusin", (event) => {
      document.querySelectorAll("[data-step].sel").forEach((row) => row.classList.remove("sel"));
      event.target.closest("[data-step]")?.classList.add("sel");
    });
    document.addEventListener("htmx:afterSwap", live);
    const shut = () => {
      box.querySelectorAll("input.in, textarea.in").forEach((input) => { input.readOnly = true; });
    };
    document.addEventListener("gate:closed", shut);
    if (document.querySelector("[data-gate][data-tone=shut]")) shut();
    document.addEventListener("chart:ready", (event) => {
      if (event.target.dataset.name !== "curve") return;
      const { model, document: owner } = event.detail;
      chart = { model, document: owner, source: (name) => owner.get_model_by_name(name) };
      if (!chart.source("steps").data) chart = null;
      else {
        const handles = chart.source("handles");
        handles.connect(handles.properties.data.change, dragged);
        redraw();
      }
    });
  });

  /* Click a cell of the strip: the window grows to it, or starts there. */
  function pick(t) {
    const { t_first: first, t_end: end } = form().elements;
    if (t < Number(first.value)) first.value = t;
    else end.value = t + 1;
    strip();
    later();
  }
})();
