// The thread where pictures of shots and takes are made, one at a time: originals of sixty tiles at once would not fit into a
// phone. It is no page's own: one that draws a view all the time is never idle, and that is what Chromium's encoder waits for
// there, for up to eleven seconds a picture.

import { differing } from "./answers.js";
import { archive, small } from "./shots.js";
import { serve } from "./thread.js";

/** @typedef {(share: number) => void} Progress 0..1 */

/** What can be asked for. */
const tasks = { tile: small, takes: differing, zip: archive };
/** @typedef {typeof tasks} Tasks */

serve((/** @type {{ task: keyof Tasks, given: unknown }} */ { task, given }, /** @type {Progress} */ note) => {
  const make = /** @type {(given: unknown, progress: Progress) => Promise<unknown>} */ (tasks[task]);
  return make(given, note);
});
