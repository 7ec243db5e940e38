/* Filters the cards by verdict, skill and words; keeps the choice in the address, so that a number can point at it. */
"use strict";
(() => {
  const filters = document.getElementById("filters");
  if (!filters) return;
  const buttons = [...filters.querySelectorAll("[data-verdict]")];
  const skill = document.getElementById("skill"), words = document.getElementById("words");
  const said = filters.querySelector(".said"), none = document.getElementById("none");
  const cards = [...document.querySelectorAll("#cards .card")].map((card) => ({
    card,
    verdict: card.dataset.verdict,
    skills: card.dataset.skills.split("\n"),
    text: card.textContent.toLowerCase(),
  }));
  let verdict = "";

  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean), needed = skill ? skill.value : "";
    let shown = 0;
    for (const one of cards) {
      const fits = (!verdict || one.verdict === verdict) && (!needed || one.skills.includes(needed)) && wanted.every((word) => one.text.includes(word));
      one.card.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict)));
    said.textContent = `${shown} of ${cards.length} shown`;
    none.hidden = shown > 0;
  };
  const keep = () => {
    const parts = new URLSearchParams();
    if (verdict) parts.set("verdict", verdict);
    if (skill && skill.value) parts.set("skill", skill.value);
    history.replaceState(null, "", `#${parts}`);
  };
  const read = () => {
    const parts = new URLSearchParams(location.hash.slice(1));
    const named = parts.get("verdict") || "";
    verdict = buttons.some((button) => button.dataset.verdict === named) ? named : "";
    if (skill) {
      const known = [...skill.options].some((option) => option.value === parts.get("skill"));
      skill.value = known ? parts.get("skill") : "";
    }
    apply();
  };
  buttons.forEach((button) => button.addEventListener("click", () => { verdict = button.dataset.verdict; keep(); apply(); }));
  if (skill) skill.addEventListener("change", () => { keep(); apply(); });
  words.addEventListener("input", apply);
  window.addEventListener("hashchange", read);
  filters.hidden = false;
  read();
})();
