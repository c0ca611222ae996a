// Many photos of this device's library through several looks, into the gallery: each is as a shot of that photo.

import { keepAwake } from "../static/awake.js";
import { $, make } from "../static/dom.js";
import { titled } from "../static/looks.js";
import { reasonOf } from "../static/toasts.js";
import { withLooks } from "./shot.js";

/** @import { Session } from "./session.js" */

/**
 * Save a photo with these looks; the page shows nothing of it.
 * @param {Session} session
 * @param {File} file
 * @param {string[]} names
 * @throws {Error} it cannot be opened, or there is no room
 */
async function develop(session, file, names) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }); // upright
  const frame = { id: 0, bitmap, atMs: performance.now(), scene: "", file };
  try {
    const asked = names.map((name) => session.palette.toned(name));
    const { fields } = await session.ask(frame, asked, "");
    const looks = asked.map((each, i) => ({ asked: each, field: fields[i] }));
    await session.saver.save(withLooks(frame, looks, { assume: session.assumeOf(frame), strength: 1, aspect: "" }), { frame_id: 0 }, true);
  } finally {
    bitmap.close();
  }
}

/**
 * Ask which looks these photos are to have, then make them, one after the other, until all are done or the sheet is closed.
 * @param {Session} session
 * @param {File[]} files
 */
export function offerLooks(session, files) {
  const chosen = $("view").dataset.look || session.palette.offered[0].name;
  const list = make("fieldset");
  const boxes = session.palette.offered.map(({ name }) => {
    const box = make("input", { type: "checkbox", value: name, checked: name === chosen });
    const label = make("label");
    label.append(box, titled(name));
    list.append(label);
    return box;
  });
  const progress = make("progress", { max: files.length, value: 0, hidden: true, ariaLabel: "Photos done" });
  const text = "All are kept in the gallery as they are, each with the looks that you choose.";
  const said = make("p", { className: "small", textContent: text });
  said.setAttribute("role", "status");
  const start = make("button", { type: "button", className: "solid", textContent: "Make them" });
  const sheet = asSheet(`${files.length} photos`, said, list, progress, start);
  start.addEventListener("click", async () => {
    const names = boxes.filter((box) => box.checked).map((box) => box.value);
    if (!names.length) return void (said.textContent = "Choose a look first.");
    start.hidden = true;
    progress.hidden = false;
    list.disabled = true;
    keepAwake("batch", true);
    /** @type {string[]} */
    const failed = [];
    for (const file of files) {
      if (!sheet.open) break;
      said.textContent = `${progress.value + 1} of ${files.length}: ${file.name}`;
      await develop(session, file, names).catch((error) => failed.push(`${file.name}: ${reasonOf(error)}`));
      progress.value += 1;
    }
    keepAwake("batch", false);
    if (!sheet.open) return; // somebody has seen enough
    if (failed.length) return void (said.textContent = `Not made: ${failed.join("; ")}. All others are in the gallery.`);
    sheet.close();
    /** @type {HTMLElement | null} */ (document.querySelector("[data-opens=gallery]"))?.click();
  });
}

/**
 * @param {string} title
 * @param {...HTMLElement} content
 */
function asSheet(title, ...content) {
  const sheet = make("dialog", { className: "sheet settings", ariaLabel: title });
  const header = make("header");
  const closes = make("form", { method: "dialog" });
  closes.append(make("button", { ariaLabel: "Close", textContent: "✕" }));
  header.append(make("h2", { textContent: title }), closes);
  sheet.append(header, ...content);
  sheet.addEventListener("close", () => sheet.remove());
  document.body.append(sheet);
  sheet.showModal();
  return sheet;
}
