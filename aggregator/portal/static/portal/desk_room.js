/* The control room's live link: panels are replaced as the server sends them; without a stream the
   page asks every five seconds. Keys: j and k walk the alarms, a opens the one for acknowledging. */
"use strict";
(() => {
  const POLL_MS = 5_000;
  const STALE_MS = 10_000;
  const ERRORS_MAX = 3;
  const room = document.querySelector("[data-room]");
  if (!room) return;
  const box = room.querySelector("[data-link]");
  const word = room.querySelector("[data-link-word]");
  const at = room.querySelector("[data-link-at]");
  let state = room.dataset.state;
  let heard_ms = performance.now();
  let errors = 0;
  let polling = null;
  let picked = null;
  let view = "scheme";
  const market = { ms: 0, began_ms: 0, speed: 1 };

  function clockSet(told) {
    market.ms = told.market_ms;
    market.speed = told.speed;
    market.began_ms = performance.now();
  }
  const face = document.querySelector("[data-market]");
  clockSet({ market_ms: Number(face.dataset.market), speed: Number(face.dataset.speed) });
  const now_ms = () => market.ms + (performance.now() - market.began_ms) * market.speed;

  /* Market time goes on here too: whoever set or slowed it, the frame's clock follows. */
  function clockFollow(told) {
    clockSet(told);
    const clock = face;
    clock.dataset.market = told.market_ms;
    clock.dataset.speed = told.speed;
    clock.dispatchEvent(new CustomEvent("clock:set", { detail: told }));
  }

  function linkSay(name) {
    if (box.dataset.link === name) return;
    box.dataset.link = name;
    word.textContent = word.dataset[name];
  }
  function heard() {
    heard_ms = performance.now();
    delete room.dataset.stale;
    at.textContent = "";
  }

  function panelShow(name, html) {
    const old = room.querySelector(`[data-panel="${name}"]`);
    if (!old) return;
    const focus = document.activeElement;
    const held = old.contains(focus) ? focus.getAttribute("href") : null;
    const open = old.querySelector("details")?.open;
    const urgent = Number(old.dataset.urgentCount ?? 0);
    const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
    old.replaceWith(fresh);
    if (open) fresh.querySelector("details")?.setAttribute("open", "");
    if (held) [...fresh.querySelectorAll("a")].find((one) => one.getAttribute("href") === held)?.focus();
    if (name === "country") countryShow();
    if (name === "alarms") {
      pick(picked);
      const alarm = room.querySelector("[data-urgent]");
      if (Number(fresh.dataset.urgentCount ?? 0) > urgent) alarm.textContent = alarm.dataset.text;
    }
    countdown();
  }

  function stream() {
    if (!("EventSource" in window)) { poll(); return; }
    const source = new EventSource(`${room.dataset.events}?have=${state}`);
    const names = ["status", "timeline", "country", "alarms", "instructions", "auction", "jobs"];
    names.forEach((name) => source.addEventListener(name, (event) => {
      state = event.lastEventId;
      heard();
      panelShow(name, event.data);
    }));
    source.addEventListener("clock", (event) => { heard(); clockFollow(JSON.parse(event.data)); });
    source.onopen = () => {
      errors = 0;
      heard();
      linkSay("live");
      clearInterval(polling);
      polling = null;
    };
    source.onerror = () => {
      linkSay("lost");
      errors += 1;
      if (source.readyState === EventSource.CLOSED || errors >= ERRORS_MAX) {
        source.close();
        poll();
        setTimeout(stream, Math.min(60_000, POLL_MS * 2 ** (errors - 1)));
      }
    };
  }

  async function ask() {
    try {
      const answer = await fetch(`${room.dataset.poll}?have=${state}`, { credentials: "same-origin", headers: { "HX-Request": "true" } });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      state = told.id;
      heard();
      linkSay("polling");
      clockFollow(told.clock);
      Object.entries(told.panels).forEach(([name, html]) => panelShow(name, html));
    } catch { linkSay("lost"); }
  }
  function poll() {
    if (polling !== null) return;
    ask();
    polling = setInterval(ask, POLL_MS);
  }

  function countdown() {
    room.querySelectorAll("[data-until]").forEach((gate) => {
      const left_s = Math.max(0, Math.ceil((Number(gate.dataset.until) - now_ms()) / 1000));
      const two = (n) => String(n).padStart(2, "0");
      gate.textContent = `${two(Math.floor(left_s / 3600))}:${two(Math.floor((left_s % 3600) / 60))}:${two(left_s % 60)}`;
    });
  }
  function tick() {
    countdown();
    if (performance.now() - heard_ms > STALE_MS && box.dataset.link === "lost") {
      room.dataset.stale = "1";
      at.textContent = new Date(Date.now() - (performance.now() - heard_ms)).toTimeString().slice(0, 8);
    }
  }

  function countryShow() {
    room.querySelectorAll("svg.country").forEach((one) => { one.toggleAttribute("hidden", one.dataset.view !== view); });
    room.querySelectorAll("[data-country]").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.country === view)));
  }

  const alarms = () => [...room.querySelectorAll("[data-alarm]")];
  function pick(id) {
    picked = id;
    alarms().forEach((row) => row.classList.toggle("picked", row.id === id));
  }
  function walk(step) {
    const rows = alarms();
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.id === picked);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    pick(next.id);
    next.scrollIntoView({ block: "nearest" });
    room.querySelector("[data-said]").textContent = next.querySelector("td:nth-child(3)").innerText;
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.keys === "off") return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key === "a" && picked) document.getElementById(picked)?.querySelector("[data-acknowledge]")?.click();
  });
  room.addEventListener("click", (event) => {
    const button = event.target.closest("[data-country]");
    if (button) { view = button.dataset.country; countryShow(); }
  });

  stream();
  setInterval(tick, 1000);
  tick();
})();
