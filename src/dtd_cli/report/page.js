"use strict";

// A number if the text begins with one, so that "12 (3 to 15)" sorts as 12.
const valueOf = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace("−", "-"));
  return Number.isNaN(number) ? text : number;
};

// Numbers come before words, and words in their natural order.
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === typeof b ? a.localeCompare(b, undefined, { numeric: true })
      : typeof a === "number" ? -1 : 1;

const sortable = (table) => {
  table.querySelectorAll("th").forEach((head, column, heads) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.ariaSort !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => (up ? 1 : -1) * compare(valueOf(a, column), valueOf(b, column)));
      table.tBodies[0].append(...rows);
    });
  });
};

const searchable = (table) => {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 8) return;
  const bar = document.createElement("div");
  const field = document.createElement("input");
  const count = document.createElement("output");
  bar.className = "search";
  field.type = "search";
  field.placeholder = "Search these rows";
  field.setAttribute("aria-label", `Search: ${table.parentElement.ariaLabel}`);
  bar.append(field, count);
  table.parentElement.before(bar);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    const found = rows.filter((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      return !row.hidden;
    });
    count.value = `${found.length} of ${rows.length} rows`;
  });
};

// Folds stay as they were left, where the browser keeps anything for files.
const remembered = (fold) => {
  const key = `${location.pathname}#${fold.id}`;
  try {
    const kept = localStorage.getItem(key);
    if (kept !== null) fold.open = kept === "open";
    fold.addEventListener("toggle", () => localStorage.setItem(key, fold.open ? "open" : "closed"));
  } catch { /* nothing is kept */ }
};

const unfold = () => {
  const fold = document.getElementById(location.hash.slice(1));
  if (fold instanceof HTMLDetailsElement) fold.open = true;
};

document.querySelectorAll("table").forEach((table) => { sortable(table); searchable(table); });
document.querySelectorAll("details").forEach(remembered);
addEventListener("hashchange", unfold);
document.querySelectorAll("a[href^='#']").forEach((link) => link.addEventListener("click", () => setTimeout(unfold)));
unfold();
