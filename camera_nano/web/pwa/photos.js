// Photos of this device's library, through the same looks: one is shown in the place of the camera until it is closed.

import { $, make } from "../static/dom.js";
import { reasonOf, toast } from "../static/toasts.js";
import { offerLooks } from "./batch.js";

/** @import { Session } from "./session.js" */

const ICON = `<rect x="3.5" y="5" width="17" height="14" rx="2"/><circle cx="9" cy="10" r="1.700"/><path d="M5 17l5-4 3 2.500L16.500 12l4 4.500"/>`;
const CLOSED = `<rect x="3.5" y="5" width="17" height="14" rx="2"/><path d="M9 9l6 6M15 9l-6 6"/>`;

/**
 * Put the buttons into the page's menu.
 * @param {Session} session
 */
export function offerPhotos(session) {
  const file = make("input", { type: "file", accept: "image/*", multiple: true, hidden: true });
  const open = button("Photo", "Photos of this device", ICON);
  const close = button("Close photo", "Back to the camera", CLOSED);
  close.hidden = true;
  document.querySelector(".menu")?.prepend(open, close, file);
  let wasCamera = false;
  const show = async (/** @type {File | undefined} */ chosen) => {
    if (!chosen) return;
    try {
      const bitmap = await createImageBitmap(chosen, { imageOrientation: "from-image" }); // upright
      wasCamera ||= session.next !== null;
      if (session.next) $("lend-stop").click();
      session.begin();
      session.take({ bitmap, atMs: performance.now(), scene: `photo ${chosen.name}`, file: chosen });
      close.hidden = false;
      session.status();
    } catch (error) {
      toast("This photo cannot be opened", `${chosen.name}: ${reasonOf(error)}`, { isError: true });
    }
  };
  open.addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    const files = [...(file.files ?? [])];
    if (files.length > 1) offerLooks(session, files);
    else await show(files[0]);
    file.value = ""; // the same one may be chosen again
  });
  close.addEventListener("click", () => {
    close.hidden = true;
    session.begin();
    if (wasCamera) $("lend-start").click();
    wasCamera = false;
  });
}

/**
 * @param {string} name
 * @param {string} title
 * @param {string} icon
 */
function button(name, title, icon) {
  const made = make("button", { type: "button", title, innerHTML: `<svg viewBox="0 0 24 24" aria-hidden="true">${icon}</svg>` });
  made.dataset.photo = name;
  made.append(make("span", { textContent: name }));
  return made;
}
