// Keys for the labelling page, and the overview that follows a run. Everything else works without it.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, select, textarea")) return;
  const key = event.key === "Backspace" ? "z" : event.key.toLowerCase();
  const button = [...document.querySelectorAll("button[data-key]")].find((one) => one.dataset.key === key);
  if (button && !button.disabled) {
    event.preventDefault();
    button.click();
  }
});

// One press is one label, however long the page takes to come back.
for (const form of document.querySelectorAll('form[action="/label"]')) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}

const live = document.getElementById("live");
if (live) {
  let version = null;
  const follow = async () => {
    let running = true;
    if (!document.hidden) {
      try {
        const answer = await fetch("/live?phase=" + encodeURIComponent(live.dataset.phase));
        if (answer.ok) {
          const said = await answer.json();
          running = said.running;
          if (said.version !== version && !live.contains(document.activeElement)) {
            // The server's own page in part, with everything from outside escaped there.
            const open = [...live.querySelectorAll("details")].map((one) => one.open);
            live.innerHTML = said.html;
            live.querySelectorAll("details").forEach((one, i) => { one.open = Boolean(open[i]); });
            version = said.version;
          }
        }
      } catch {
        document.getElementById("said").textContent = "The viewer does not answer: has it been stopped?";
      }
    }
    setTimeout(follow, running ? 2000 : 4000);
  };
  setTimeout(follow, 700);
}
