// Shots on their way to this browser's files, in a thread of its own: the original first, then its look.

import { lookFile } from "./lookfile.js";
import { saveShot } from "./store.js";

/**
 * @import { EditField } from "./engine.js"
 * @import { Recipe } from "./marking.js"
 * @import { SavedShot } from "./store.js"
 *
 * @typedef {object} Press a frame and its look, as they were at the press
 * @property {ImageBitmap} bitmap at full size
 * @property {File | null} file that the frame was read from
 * @property {number} atMs when it was taken, since 1970
 * @property {{ field: EditField, look: Recipe["look"], strength: number, recipe: Omit<Recipe, "look" | "strength" | "format" | "photo"> } | null} made
 * @property {string} software
 * @typedef {{ saved: SavedShot } | { message: string }} Outcome
 */

const CAMERA = "this device's camera";
const QUALITY = 95;

const port = /** @type {{ postMessage: (outcome: Outcome) => void, onmessage: unknown }} */ (/** @type {unknown} */ (self));

port.onmessage = async (/** @type {MessageEvent<Press>} */ { data }) => {
  try {
    port.postMessage({ saved: await save(data) });
  } catch (error) {
    port.postMessage({ message: error instanceof Error ? error.message : String(error) });
  }
};

/** @param {Press} press */
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
    if (made === null) return {};
    const at = new Date(atMs);
    return { [made.look.name]: await lookFile({ source, ...made, origin, at, camera: CAMERA, software, quality: QUALITY }) };
  };
  const original = file ?? (await source.convertToBlob({ type: "image/png" }));
  return saveShot({ id: Date.now(), original, looks, took_ms: performance.now() - started });
}
