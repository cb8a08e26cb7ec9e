// Conveniences only: everything that this page says stands in it without script. Texts go from node to node as text.
"use strict";

// A slider steps through the rows of its table and tells the row it stands on.
for (const box of document.querySelectorAll(".slider")) {
  const input = box.querySelector("input");
  const rows = document.getElementById(box.dataset.table).closest("table").tBodies[0].rows;
  const readings = box.querySelectorAll("[data-column]");
  let here = null;

  const show = () => {
    const row = rows[input.valueAsNumber];
    if (row === here) return;
    if (here) here.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    here = row;
    for (const reading of readings) reading.textContent = row.cells[Number(reading.dataset.column)].textContent;
    input.setAttribute("aria-valuetext", row.cells[Number(box.dataset.named)].textContent);
  };
  const move = () => {
    show();
    const region = here.closest(".tall");
    if (region) region.scrollTop = here.offsetTop - (region.clientHeight - here.offsetHeight) / 2;
  };

  input.addEventListener("input", move);
  for (const button of box.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      input.value = button.value;
      move();
    });
  }
  box.hidden = false;
  show();
}

// What only a script can do is shown where one runs.
for (const tool of document.querySelectorAll(".tool")) tool.hidden = false;

// A command is copied where the browser lets a page write to the clipboard, and selected where it does not.
for (const button of document.querySelectorAll("button.copy")) {
  const source = document.getElementById(button.dataset.copies);
  const word = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: copy it with the keyboard";
    }
    setTimeout(() => { button.textContent = word; }, 2000);
  });
}

// A column sorts by its numbers, or by its words where it has none; rows without a value come last either way.
const sortable = (table) => {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const first = [...body.rows];
  const numeric = heads.map((_, at) => first.some((row) => row.cells[at].dataset.value !== undefined));
  const value = (row, at) => {
    const cell = row.cells[at];
    if (!numeric[at]) return cell.textContent.trim();
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      for (const other of heads) other.removeAttribute("aria-sort");
      let rows = first;
      if (was !== "descending") {
        const sign = was === "ascending" ? -1 : 1;
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        rows = first.map((row) => [value(row, at), row]);
        const [have, lack] = [rows.filter(([v]) => v !== null), rows.filter(([v]) => v === null)];
        have.sort(([a], [b]) => sign * compare(a, b));
        rows = [...have, ...lack].map(([, row]) => row);
      }
      body.append(...rows);
    });
  });
};
for (const table of document.querySelectorAll("table.sortable")) sortable(table);

// Words typed above a table leave the rows that hold all of them.
for (const input of document.querySelectorAll("input[data-filters]")) {
  const rows = [...document.getElementById(input.dataset.filters).closest("table").tBodies[0].rows];
  const told = input.parentElement.querySelector("output");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    told.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
}

// On paper everything is open; browsers that know ::details-content need no help.
const closed = () => document.querySelectorAll("details:not([open], .files)");
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...closed()];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
  opened = [];
});

// A picture opens as large as the window allows; two of a kind take turns in one place, by hand or twice a second.
const pictures = document.querySelectorAll("main img");
if (pictures.length && "HTMLDialogElement" in window) {
  const dialog = document.createElement("dialog");
  const large = document.createElement("img");
  const caption = document.createElement("p");
  const button = (word) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = word;
    return made;
  };
  const [other, turns, close] = ["Show the other", "Take turns", "Close"].map(button);
  let pair = [];
  let clock = 0;
  dialog.className = "enlarged";
  dialog.append(large, caption, other, " ", turns, " ", close);
  document.body.append(dialog);

  const put = (picture) => {
    large.src = picture.src;
    large.alt = picture.alt;
    caption.textContent = picture.alt;
    dialog.setAttribute("aria-label", picture.alt);
  };
  const swap = () => {
    pair.reverse();
    put(pair[0]);
  };
  const rest = () => {
    clearInterval(clock);
    clock = 0;
    turns.setAttribute("aria-pressed", "false");
  };
  const open = (...these) => {
    pair = these;
    rest();
    other.hidden = turns.hidden = these.length < 2;
    put(pair[0]);
    dialog.showModal();
  };
  other.addEventListener("click", () => {
    rest();
    swap();
  });
  turns.addEventListener("click", () => {
    if (clock) return rest();
    clock = setInterval(swap, 500);
    turns.setAttribute("aria-pressed", "true");
  });
  close.addEventListener("click", () => dialog.close());
  large.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", rest);
  for (const picture of pictures) {
    const frame = button("");
    frame.className = "enlarge";
    frame.title = "Enlarge";
    picture.replaceWith(frame);
    frame.append(picture);
    frame.addEventListener("click", () => open(picture));
  }
  for (const asked of document.querySelectorAll("button.flicker")) {
    const [a, b] = [asked.dataset.a, asked.dataset.b].map((id) => document.getElementById(id));
    asked.addEventListener("click", () => open(a, b));
  }
}
