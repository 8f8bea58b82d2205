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
