// The thread where pictures of shots and takes are made, one at a time: originals of sixty tiles at once would not fit into a
// phone. It is no page's own: one that draws a view all the time is never idle, and that is what Chromium's encoder waits for
// there, for up to eleven seconds a picture.

import { reasonOf } from "../static/toasts.js";
import { differing } from "./answers.js";
import { archive, small } from "./shots.js";

/**
 * @typedef {(share: number) => void} Progress 0..1
 * @typedef {{ share: number } | { made: any } | { message: string }} Told
 */

/** What can be asked for. */
const tasks = { tile: small, takes: differing, zip: archive };
/** @typedef {typeof tasks} Tasks */

/** @type {Promise<void>} the last of those that were asked for */
let last = Promise.resolve();

self.onmessage = ({ data: { task, given }, ports: [port] }) => {
  const tell = (/** @type {Told} */ told) => port.postMessage(told);
  const make = /** @type {(given: unknown, progress: Progress) => Promise<unknown>} */ (tasks[/** @type {keyof Tasks} */ (task)]);
  last = last
    .then(() => make(given, (share) => tell({ share })))
    .then((made) => tell({ made }), (error) => tell({ message: reasonOf(error) }));
};
