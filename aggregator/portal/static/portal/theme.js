/* In <head> and not deferred: the wish in the address, then the stored one, before first paint. */
"use strict";
{
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "dark" || asked === "light") document.documentElement.dataset.theme = asked;
  else if (!document.documentElement.dataset.theme) {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }
}
/* A breach of the content policy is our bug: it is counted where tests can see it. */
document.addEventListener("securitypolicyviolation", () => {
  const { dataset } = document.documentElement;
  dataset.violations = Number(dataset.violations ?? 0) + 1;
});
