/* The need's table: fill a stretch at once, take over a range of a spreadsheet, show sums; the server judges. */
"use strict";
(() => {
  const table = document.querySelector("table.halves");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("input")]);
  const sums = [...table.querySelectorAll("[data-sum]")];
  const said = (name) => document.querySelector(`[data-${name}]`);
  const plain = (text) => {
    const half = text.replace(/[０-９．]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0));
    const number = Number(half.replace(/[,，、\s]/g, ""));
    return Number.isFinite(number) ? number : 0;
  };
  const caps = [...document.querySelectorAll(".tier input")];
  const capacity = () => (document.getElementById("id_place")?.value || "").startsWith("product:");
  function sum() {
    let all = 0, top = 0, most = 0;
    rows.forEach((row, t) => {
      let kw = 0;
      for (let c = 0; c < row.length; c += 2) {
        const asked = plain(row[c].value);
        const base = caps[c / 2]?.value || "";
        row[c + 1].placeholder = asked ? base : "";
        most += asked * plain(row[c + 1].value || base);
        kw += asked;
      }
      sums[t].textContent = kw ? kw.toLocaleString("en") : "";
      all += kw;
      top = Math.max(top, kw);
    });
    const tenth = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    said("total").textContent = (all / 2000).toLocaleString("en", tenth);
    said("top").textContent = top.toLocaleString("en");
    said("most").textContent = Math.round(capacity() ? most : most / 2).toLocaleString("en");
  }
  const fill = document.querySelector("[data-fill]");
  fill.hidden = false;
  fill.querySelector("[data-fill-do]").addEventListener("click", () => {
    const value = (id) => document.getElementById(id)?.value || "";
    const first = Number(value("fill-first")), end = Number(value("fill-end"));
    const column = 2 * Number(value("fill-step") || 0);
    rows.slice(first, end).forEach((row) => {
      if (value("fill-kw")) row[column].value = value("fill-kw");
      if (value("fill-cap")) row[column + 1].value = value("fill-cap");
    });
    sum();
  });
  /* Rows and columns of a spreadsheet fill rows and columns from the cell they are pasted into. */
  table.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text").replace(/\r?\n$/, "");
    if (!/[\t\n]/.test(text)) return;
    const t = rows.findIndex((row) => row.includes(event.target));
    if (t < 0) return;
    event.preventDefault();
    const column = rows[t].indexOf(event.target);
    text.split(/\r?\n/).forEach((line, i) => {
      line.split("\t").forEach((cell, j) => {
        const field = rows[t + i]?.[column + j];
        if (field) field.value = cell.trim();
      });
    });
    sum();
  });
  document.getElementById("need").addEventListener("input", sum);
  sum();
})();
