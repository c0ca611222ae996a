// The page's other side: a server. The web app that needs none has pwa/backend.js in the place of this file.

export { Connection } from "./connection.js";
export { Lender, PICTURE } from "./lender.js";

export const isLocal = false;

/**
 * Ask for what is no message.
 * @param {string} path beside the page
 * @param {RequestInit} [options]
 */
export const ask = (path, options) => fetch(path, options);

/**
 * Show a picture in an element.
 * @param {HTMLImageElement} image
 * @param {string} path
 */
export function show(image, path) {
  image.src = path;
}

/**
 * Let a link save a file.
 * @param {HTMLAnchorElement} link
 * @param {string} path
 * @param {string} name of the file
 */
export function offer(link, path, name) {
  Object.assign(link, { href: path, download: name });
}
