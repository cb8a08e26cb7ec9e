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
  button.hidden = false;
}

// A picture opens as large as the window allows.
const pictures = document.querySelectorAll("main img");
if (pictures.length && "HTMLDialogElement" in window) {
  const dialog = document.createElement("dialog");
  const large = document.createElement("img");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  dialog.className = "enlarged";
  dialog.append(large, close);
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  for (const picture of pictures) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.title = "Enlarge";
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => {
      large.src = picture.src;
      large.alt = picture.alt;
      dialog.setAttribute("aria-label", picture.alt);
      dialog.showModal();
    });
  }
}
