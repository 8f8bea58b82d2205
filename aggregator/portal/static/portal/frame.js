/* The frame: theme button, market clock, and pickers that submit themselves. */
"use strict";
(() => {
  const root = document.documentElement;
  const HALF_HOUR_MS = 1_800_000;
  const JST_MS = 9 * 3_600_000;

  function themeSet(name) {
    root.dataset.theme = name;
    document.cookie = `theme=${name}; path=/; max-age=31536000; samesite=lax`;
    dispatchEvent(new Event("theme:changed"));
  }

  /* The server says what market time it is and how fast it runs; a wrong PC clock is harmless. */
  function clockStart(clock) {
    let market_ms = Number(clock.dataset.market);
    let speed = Number(clock.dataset.speed);
    let began_ms = performance.now();
    clock.addEventListener("clock:set", ({ detail }) => {
      [market_ms, speed, began_ms] = [detail.market_ms, detail.speed, performance.now()];
    });
    const [face, koma] = [clock.querySelector("[data-face]"), clock.querySelector("[data-koma]")];
    const tick = () => {
      const jst_ms = market_ms + (performance.now() - began_ms) * speed + JST_MS;
      face.textContent = new Date(jst_ms).toISOString().slice(11, 19);
      koma.textContent = Math.floor((jst_ms % 86_400_000) / HALF_HOUR_MS) + 1;
    };
    tick();
    setInterval(tick, 1000);
  }

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-theme-toggle]").forEach((button) => {
      button.addEventListener("click", () => themeSet(root.dataset.theme === "dark" ? "light" : "dark"));
    });
    document.querySelectorAll("[data-market]").forEach(clockStart);
  });
})();
