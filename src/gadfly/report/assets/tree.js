/* The tree of skills: opens where the map or a link points, finds words, and marks the part of the page in view. */
"use strict";
(() => {
  const tree = document.getElementById("tree");
  const openUpTo = (id) => {
    const node = id && document.getElementById(id);
    if (!tree || !node || !tree.contains(node)) return;
    for (let one = node; one && one !== tree; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    node.scrollIntoView({ block: "center" });
    const summary = node.querySelector("summary");
    if (summary) summary.focus({ preventScroll: true });
  };
  if (tree) {
    const controls = document.querySelector('[data-controls="tree"]');
    const all = [...tree.querySelectorAll("details")];
    const said = controls.querySelector(".said");
    controls.hidden = false;
    document.getElementById("tree-open").addEventListener("click", () => all.forEach((one) => { one.open = true; }));
    document.getElementById("tree-close").addEventListener("click", () => all.forEach((one) => { one.open = false; }));
    document.getElementById("tree-filter").addEventListener("input", (event) => {
      const word = event.target.value.trim().toLowerCase();
      let found = 0;
      for (const one of all) {
        // A skill whose family is meant is shown with it.
        const family = one.parentElement.closest("details");
        const own = one.dataset.needle.includes(word);
        const byFamily = family !== null && family.querySelector("summary .name").textContent.toLowerCase().includes(word);
        one.hidden = !(own || byFamily);
        one.open = word !== "" && own;
        found += own && family !== null ? 1 : 0;
      }
      said.textContent = word ? `${found} found` : "";
    });
    window.addEventListener("hashchange", () => openUpTo(location.hash.slice(1)));
    document.querySelectorAll(".map a").forEach((one) => one.addEventListener("click", () => {
      const id = one.getAttribute("href").slice(1);
      if (location.hash.slice(1) === id) openUpTo(id);
    }));
    openUpTo(location.hash.slice(1));
  }

  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.getAttribute("href").slice(1), a]));
  if (links.size && "IntersectionObserver" in window) {
    const inView = new Set();
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) inView[entry.isIntersecting ? "add" : "delete"](entry.target.id);
      let first = true;
      for (const [id, link] of links) {
        const here = first && inView.has(id);
        link.classList.toggle("here", here);
        if (here) first = false;
      }
    }, { rootMargin: "-80px 0px -55% 0px" });
    for (const id of links.keys()) { const part = document.getElementById(id); if (part) watch.observe(part); }
  }
})();
