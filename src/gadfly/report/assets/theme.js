/* Light or dark: as the system has it, or as the reader has chosen. Tells the rest of the page when it changes. */
"use strict";
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("gadfly-theme"); } catch { return null; } };
  const apply = (theme) => {
    root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("themechange"));
  };
  const chosen = () => kept() || (system.matches ? "dark" : "light");
  apply(chosen());
  system.addEventListener("change", () => apply(chosen()));
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("gadfly-theme", theme); } catch { /* a page from a disk may not be allowed to */ }
      apply(theme);
    });
  });
  // Paper is white.
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    document.querySelectorAll(".tree details").forEach((one) => { one.open = true; });
    apply("light");
  });
  window.addEventListener("afterprint", () => apply(before || chosen()));
})();
