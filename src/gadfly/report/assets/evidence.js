/* Filters the cards by verdict, skill, label and words; keeps the choice in the address, so that a number can point at it. */
"use strict";
(() => {
  const filters = document.getElementById("filters");
  if (!filters) return;
  const buttons = [...filters.querySelectorAll("[data-verdict]")];
  const words = document.getElementById("words");
  const choices = ["skill", "label"].map((name) => document.getElementById(name)).filter(Boolean);
  const said = filters.querySelector(".said"), none = document.getElementById("none");
  const cards = [...document.querySelectorAll("#cards .card")].map((card) => ({
    card,
    verdict: card.dataset.verdict,
    skill: card.dataset.skills.split("\n"),
    label: card.dataset.labels.split("\n"),
    text: card.textContent.toLowerCase(),
  }));
  let verdict = "";

  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const one of cards) {
      const fits = (!verdict || one.verdict === verdict) && choices.every((choice) => !choice.value || one[choice.id].includes(choice.value)) && wanted.every((word) => one.text.includes(word));
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
    for (const choice of choices) if (choice.value) parts.set(choice.id, choice.value);
    history.replaceState(null, "", `#${parts}`);
  };
  const read = () => {
    const parts = new URLSearchParams(location.hash.slice(1));
    const named = parts.get("verdict") || "";
    verdict = buttons.some((button) => button.dataset.verdict === named) ? named : "";
    for (const choice of choices) {
      const wanted = parts.get(choice.id);
      choice.value = [...choice.options].some((option) => option.value === wanted) ? wanted : "";
    }
    apply();
  };
  buttons.forEach((button) => button.addEventListener("click", () => { verdict = button.dataset.verdict; keep(); apply(); }));
  choices.forEach((choice) => choice.addEventListener("change", () => { keep(); apply(); }));
  words.addEventListener("input", apply);
  window.addEventListener("hashchange", read);
  filters.hidden = false;
  read();
})();
