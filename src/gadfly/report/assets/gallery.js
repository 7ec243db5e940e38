/* Enlarges a picture on request, with the question under it; arrow keys go to the next one. */
"use strict";
(() => {
  const zooms = [...document.querySelectorAll(".zoom")];
  if (!zooms.length) return;
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Picture, enlarged");
  const large = document.createElement("div"), image = document.createElement("img"), text = document.createElement("p"), answer = document.createElement("p");
  const controls = document.createElement("div");
  large.className = "large";
  controls.className = "controls";
  answer.className = "small quiet";
  const button = (name, act) => {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = name;
    one.addEventListener("click", act);
    controls.append(one);
    return one;
  };
  let at = 0;
  const visible = () => zooms.filter((one) => one.offsetParent !== null);
  const show = (i) => {
    const shown = visible();
    at = (i + shown.length) % shown.length;
    const card = shown[at].closest(".card"), source = shown[at].querySelector("img");
    image.src = source.src;
    image.alt = source.alt;
    image.className = source.className;
    text.textContent = card.querySelector(".asked").textContent;
    answer.textContent = [...card.querySelectorAll("dl > *")].map((one) => one.textContent + (one.tagName === "DT" ? ": " : "   ")).join("");
  };
  button("← Previous", () => show(at - 1));
  button("Close", () => dialog.close());
  button("Next →", () => show(at + 1));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  text.dir = "auto";
  answer.dir = "auto";
  large.append(image, text, answer, controls);
  dialog.append(large);
  document.body.append(dialog);
  for (const one of zooms) one.addEventListener("click", () => { show(visible().indexOf(one)); dialog.showModal(); });
})();
