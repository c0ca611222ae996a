// Shots on their way to this browser's files, in a thread of its own: the original first, then its looks.

import { lookFile } from "./lookfile.js";
import { saveShot } from "./store.js";
import { serve } from "./thread.js";

/**
 * @import { EditField } from "./engine.js"
 * @import { Recipe } from "./marking.js"
 * @import { SavedShot } from "./store.js"
 *
 * @typedef {object} Press a frame and its looks, as they were at the press
 * @property {ImageBitmap} bitmap at full size
 * @property {File | null} file that the frame was read from
 * @property {number} atMs when it was taken, since 1970
 * @property {{ field: EditField, look: Recipe["look"], strength: number, recipe: Omit<Recipe, "look" | "strength" | "format" | "photo"> }[]} made
 * @property {string} software
 */

const CAMERA = "this device's camera";
const QUALITY = 95;

serve(save);

/**
 * @param {Press} press
 * @returns {Promise<SavedShot>}
 */
async function save({ bitmap, file, atMs, made, software }) {
  const started = performance.now();
  const source = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = source.getContext("2d", { alpha: false });
  if (pen === null) throw new Error("the browser has no room for another shot");
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  /**
   * @param {string} origin the name of the original's file
   * @returns {Promise<Record<string, Blob>>}
   */
  const looks = async (origin) => {
    /** @type {Record<string, Blob>} */
    const files = {};
    const about = { source, origin, at: new Date(atMs), camera: CAMERA, software, quality: QUALITY };
    for (const each of made) files[each.look.name] = await lookFile({ ...about, ...each });
    return files;
  };
  const original = file ?? (await source.convertToBlob({ type: "image/png" }));
  return saveShot({ id: Date.now(), original, looks, took_ms: performance.now() - started });
}
