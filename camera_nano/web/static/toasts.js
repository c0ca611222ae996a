// Short messages that come and go: what was saved, what was not.

import { $, make, pen } from "./dom.js";

const SHOWN_MS = 7000;
const AT_ONCE = 3;

/**
 * A small still copy of a canvas.
 * @param {HTMLCanvasElement} canvas
 */
export function thumbnail(canvas) {
  const small = make("canvas", { width: 128 });
  small.height = Math.max(1, Math.round((canvas.height * 128) / canvas.width));
  pen(small).drawImage(canvas, 0, 0, small.width, small.height);
  small.ariaHidden = "true";
  return small;
}

/**
 * What an exception says; anything can be thrown.
 * @param {unknown} error
 */
export function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Show a line of text, with a picture if there is one.
 * @param {string} title
 * @param {string} detail
 * @param {{ picture?: HTMLElement | null, isError?: boolean, data?: Record<string, string> }} [options]
 */
export function toast(title, detail, { picture = null, isError = false, data = {} } = {}) {
  const box = $("toasts");
  const item = make("div", { className: isError ? "toast error" : "toast" });
  Object.assign(item.dataset, data);
  const words = make("p");
  words.append(make("strong", { textContent: title }), make("span", { textContent: detail }));
  if (picture) item.append(picture);
  item.append(words);
  if (isError) [...box.children].find(({ textContent }) => textContent === item.textContent)?.remove(); // what fails again and again is said once
  box.append(item);
  while (box.children.length > AT_ONCE) box.firstElementChild?.remove();
  setTimeout(() => item.remove(), SHOWN_MS);
}
