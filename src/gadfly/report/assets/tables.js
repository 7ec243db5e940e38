/* Sorting and filtering of tables whose rows are in the page already. Without this script they are plain tables. */
"use strict";
(() => {
  const value = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    if (!numeric) return text.toLowerCase();
    return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
  };

  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));

  const sortBy = (table, column, numeric, direction) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row, column, numeric), row]);
    // Rows without a number stay at the end, whichever way the others run.
    rows.sort(([a], [b]) => (a === null ? 1 : 0) - (b === null ? 1 : 0) || (a === null ? 0 : direction * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  };

  const makeSortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.hasAttribute("data-unsorted")) return;
      const numeric = head.dataset.type === "number";
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        // Numbers begin with the largest, words with the first letter.
        const ascending = now === null ? !numeric : now === "descending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        sortBy(table, column, numeric, ascending ? 1 : -1);
      });
    });
  };

  const makeFilterable = (controls) => {
    const table = document.getElementById(controls.dataset.controls);
    if (!(table instanceof HTMLTableElement)) return;
    const input = controls.querySelector("input");
    const said = controls.querySelector(".said");
    controls.hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      said.textContent = `${shown} shown`;
    });
  };

  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.querySelectorAll("[data-controls]").forEach(makeFilterable);
})();
