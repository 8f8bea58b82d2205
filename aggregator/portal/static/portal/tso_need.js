/* The need's 48 fields: fill a stretch at once, show sum and top; the server reads and judges. */
"use strict";
(() => {
  const fields = [...document.querySelectorAll(".halves input")];
  if (!fields.length) return;
  const plain = (text) => {
    const half = text.replace(/[０-９．]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0));
    const number = Number(half.replace(/[,，、\s]/g, ""));
    return Number.isFinite(number) ? number : 0;
  };
  const total = document.querySelector("[data-total]");
  const top = document.querySelector("[data-top]");
  function sum() {
    const values = fields.map((one) => plain(one.value));
    const kwh = values.reduce((a, b) => a + b, 0) / 2;
    total.textContent = (kwh / 1000).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    top.textContent = Math.max(...values).toLocaleString("en");
  }
  document.querySelector("[data-fill-do]").addEventListener("click", () => {
    const first = Number(document.getElementById("fill-first").value);
    const end = Number(document.getElementById("fill-end").value);
    const kw = document.getElementById("fill-kw").value;
    fields.forEach((one, t) => { if (t >= first && t < end) one.value = kw; });
    sum();
  });
  /* A column of a spreadsheet, pasted into a field, fills the fields after it. */
  fields.forEach((one, t) => {
    one.addEventListener("input", sum);
    one.addEventListener("paste", (event) => {
      const cells = event.clipboardData.getData("text").trim().split(/[\t\r\n]+/);
      if (cells.length < 2) return;
      event.preventDefault();
      cells.forEach((cell, i) => { if (fields[t + i]) fields[t + i].value = cell; });
      sum();
    });
  });
  sum();
})();
