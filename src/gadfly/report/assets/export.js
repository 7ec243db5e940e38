/* Gives the failure mode on this page away: its questions as JSON lines, or those and its pictures in a folder (zip). */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const lines = () => data.probes.map((probe) => `${JSON.stringify({ mode: data.mode.id, ...probe })}\n`).join("");
  const give = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    document.getElementById("export-said").textContent = `${name} is in your downloads.`;
  };
  const pictures = () => {
    const files = new Map();
    document.querySelectorAll(".card").forEach((card, i) => {
      const image = card.querySelector(".zoom img");
      if (!image) return;
      const body = image.src.split(",")[1];
      // A picture is named by its hash: what its file was called may be anything.
      const name = `${data.mode.id}/images/${data.probes[i].images[0].sha256.replace(/[^0-9A-Za-z]/g, "").slice(0, 16)}.webp`;
      files.set(name, Uint8Array.from(atob(body), (c) => c.charCodeAt(0)));
    });
    return [...files];
  };
  const buttons = { "export-jsonl": () => give(new Blob([lines()], { type: "application/x-ndjson" }), `${data.mode.id}.jsonl`) };
  buttons["export-zip"] = () => {
    const text = new TextEncoder();
    const about = text.encode(`${JSON.stringify(data.mode, null, 2)}\n`);
    give(zip([[`${data.mode.id}/mode.json`, about], [`${data.mode.id}/probes.jsonl`, text.encode(lines())], ...pictures()]), `${data.mode.id}.zip`);
  };
  for (const [id, act] of Object.entries(buttons)) {
    const button = document.getElementById(id);
    button.hidden = data.probes.length === 0;
    button.addEventListener("click", act);
  }
})();
