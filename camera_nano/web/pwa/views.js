// What is shown of a frame: the picture in the size of the view, and the header and fields that go with it.

import { fit, make, pen } from "../static/dom.js";

/**
 * @import { ViewMessage } from "../static/protocol.js"
 * @import { Frame } from "./frames.js"
 * @import { Proposal } from "./session.js"
 */

const VIEW_PX = 1280; // the longer side of what is shown; shots have the camera's own size
const view = make("canvas");

/**
 * A frame in the size that is shown, on a canvas that the next one is drawn on, too.
 * @param {Frame} frame
 */
export function drawn({ bitmap }) {
  const scale = Math.min(1, VIEW_PX / Math.max(bitmap.width, bitmap.height));
  fit(view, Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const context = pen(view, { alpha: false });
  context.imageSmoothingQuality = "medium"; // else one pixel in two is looked at
  context.drawImage(bitmap, 0, 0, view.width, view.height);
  return view;
}

/**
 * @param {Frame} frame
 * @param {Proposal | null} proposal
 * @param {boolean} hasNewFields
 * @returns {ViewMessage}
 */
export function viewOf(frame, proposal, hasNewFields) {
  const age = (/** @type {number} */ atMs) => (frame.file ? -Infinity : Math.round(performance.now() - atMs)); // a photo never grows old
  const looks = proposal ? [...proposal.looks] : [];
  const header = {
    frame_id: frame.id,
    proposal_id: proposal?.id ?? null,
    look: null,
    strength: 1,
    draws: true,
    exposed_ev: 0,
    age_ms: age(frame.atMs),
    tile_ages: Object.fromEntries(looks.map(([name]) => [name, age(proposal?.atMs ?? 0)])),
  };
  const fields = hasNewFields ? looks.map(([look, { asked: { controls }, field }]) => ({ look, controls, grid: field.grid, whiteEv: field.whiteEv })) : [];
  return { header, picture: drawn(frame), before: null, tiles: [], fields };
}
