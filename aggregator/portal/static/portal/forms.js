/* Forms on every page: errors get the focus, a form is sent once, a session that ended is
   renewed over the page, toasts leave, gates count down. */
"use strict";
(() => {
  const MINUTE_MS = 60_000;
  const TOAST_MS = 10_000;
  const SAID_AT_MIN = [60, 10, 5, 1];
  const loaded = (root) => {
    const first = root.querySelector("[data-focus]");
    if (first) first.focus();
    root.querySelectorAll("[data-gate]:not([data-started])").forEach(gateStart);
  };

  /* A second click on a form that is on its way does nothing; the server would answer the same. */
  function sendOnce(event) {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.setAttribute("aria-busy", "true");
  }
  addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    });
  });

  /* Market time as the frame's clock has it. */
  function marketNow() {
    const clock = document.querySelector("[data-market]");
    if (!clock) return Date.now();
    clock.began ??= performance.timeOrigin + performance.now();
    const gone_ms = performance.timeOrigin + performance.now() - clock.began;
    return Number(clock.dataset.market) + gone_ms * Number(clock.dataset.speed);
  }

  function gateStart(gate) {
    gate.dataset.started = "1";
    const face = gate.querySelector("[data-left]");
    const says = gate.parentElement.querySelector("[data-gate-says]");
    let said = Infinity;
    const tick = () => {
      const left_ms = Number(gate.dataset.gate) - marketNow();
      const left_s = Math.max(0, Math.ceil(left_ms / 1000));
      const two = (n) => String(n).padStart(2, "0");
      const days = Math.floor(left_s / 86_400);
      face.textContent = (days ? `${days}d ` : "") +
        `${two(Math.floor((left_s % 86_400) / 3600))}:${two(Math.floor((left_s % 3600) / 60))}:${two(left_s % 60)}`;
      const minutes = left_s / 60;
      gate.dataset.tone = left_s === 0 ? "shut" : minutes <= 10 ? "last" : minutes <= 60 ? "high" : "";
      const due = left_s === 0 ? 0 : SAID_AT_MIN.filter((m) => minutes <= m).pop();
      if (due !== undefined && due < said) {
        if (said !== Infinity && says) says.textContent = says.dataset[String(due)] ?? "";
        said = due;
      } else if (said === Infinity) said = 1e9;
      if (left_s === 0) {
        clearInterval(timer);
        document.querySelectorAll("[data-gate-shut]").forEach((box) => { box.hidden = false; });
        document.querySelectorAll("[data-gate-open]").forEach((box) => { box.hidden = true; });
        gate.dispatchEvent(new CustomEvent("gate:closed", { bubbles: true }));
      }
    };
    const timer = setInterval(tick, 1000);
    tick();
  }

  /* A request that came back 401 waits for the sign-in and is then sent again. */
  const dialog = () => document.getElementById("sign-in-again");
  let waiting = [];
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("wattbit-session") : null;

  function signInAsk(again) {
    const box = dialog();
    if (!box) { location.reload(); return; }
    waiting.push(again);
    box.querySelector("[data-window-link]").href = box.dataset.window;
    if (!box.open) box.showModal();
  }
  function wrong(key) {
    const line = dialog().querySelector("[role=alert]");
    line.textContent = key ? line.dataset[key] : "";
    line.hidden = !key;
  }
  async function goOn() {
    const box = dialog();
    const state = await (await fetch(box.dataset.state, { credentials: "same-origin" })).json();
    if (state.user === null) return;
    if (String(state.user) !== box.dataset.user) { wrong("other"); return; }
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": state.csrf }));
    document.querySelectorAll("input[name=csrfmiddlewaretoken]").forEach((one) => { one.value = state.csrf; });
    wrong("");
    box.close();
    const todo = waiting;
    waiting = [];
    todo.forEach((again) => again());
  }
  async function signIn(event) {
    const box = dialog();
    if (!box.contains(event.target)) return;
    event.preventDefault();
    const token = document.querySelector("input[name=csrfmiddlewaretoken]").value;
    const fields = new URLSearchParams({
      username: box.querySelector("#again-name").value,
      password: box.querySelector("#again-password").value,
      csrfmiddlewaretoken: token,
    });
    try {
      const answer = await fetch(box.dataset.login, {
        method: "POST", body: fields, credentials: "same-origin",
        headers: { "X-Requested-With": "XMLHttpRequest", Accept: "application/json", "X-CSRFToken": token },
      });
      box.querySelector("#again-password").value = "";
      if (!answer.ok) { wrong("wrong"); return; }
      const told = await answer.json();
      if (told.location && told.location.includes("/account/factors/")) open(told.location, "_blank");
      else await goOn();
    } catch { wrong("lost"); }
  }

  addEventListener("DOMContentLoaded", () => {
    loaded(document);
    document.addEventListener("submit", (event) => {
      if (dialog() && dialog().contains(event.target)) signIn(event);
      else sendOnce(event);
    });
    document.addEventListener("htmx:load", (event) => loaded(event.detail.elt.parentElement ?? document));
    document.addEventListener("htmx:beforeSwap", (event) => {
      if (event.detail.xhr.status !== 401) return;
      event.detail.shouldSwap = false;
      event.detail.isError = false;
      const { elt, requestConfig } = event.detail;
      signInAsk(() => htmx.trigger(elt, requestConfig.triggeringEvent?.type ?? "submit"));
    });
    document.addEventListener("click", (event) => {
      const close = event.target.closest("[data-toast-close]");
      if (close) close.closest("[data-toast]").remove();
    });
    document.querySelectorAll("[data-toast]").forEach((toast) => {
      setTimeout(() => { if (!toast.contains(document.activeElement)) toast.remove(); }, TOAST_MS);
    });
    document.querySelectorAll("select[data-go]").forEach((pick) => {
      pick.addEventListener("change", () => pick.form.requestSubmit());
    });
    if (channel) {
      channel.addEventListener("message", () => { if (dialog()?.open) goOn(); });
      if (document.querySelector("[data-signed-in]")) channel.postMessage("signed in");
    }
  });
  window.wattbit = { marketNow, signInAsk };
})();
