// A press of the shutter: takes hold of the frame and of the very field that was shown, and hands them to the saver.

import { $ } from "../static/dom.js";
import { constants } from "./constants.js";
import { Thread } from "./thread.js";

/**
 * @import { Shoot, Shot } from "../static/protocol.js"
 * @import { Assume, Controls } from "./constants.js"
 * @import { Frame } from "./frames.js"
 * @import { Press } from "./saver.js"
 * @import { Made, Proposal, Session } from "./session.js"
 * @import { SavedShot } from "./store.js"
 */

/**
 * @param {Frame} frame
 * @param {Proposal | null} proposal
 * @param {Shoot} asked
 * @returns {Press}
 * @throws {Error} the look is not there yet
 */
export function pressOf(frame, proposal, { look, strength, aspect }) {
  const made = look === null ? null : proposal?.looks.get(look);
  if (made === undefined) throw new Error(`no ${look} alternative yet: wait for it, or shoot the original`);
  return withLooks(frame, made ? [made] : [], { assume: proposal?.assume ?? "auto", strength, aspect });
}

/**
 * @param {Omit<Frame, "id">} frame keeps its bitmap
 * @param {Made[]} looks
 * @param {{ assume: Assume, strength: number, aspect: string }} how
 * @returns {Press}
 */
export function withLooks(frame, looks, { assume, strength, aspect }) {
  const { n_steps, model, version } = constants;
  const recipe = { n_steps, model, is_live: !frame.file, assume, ...(aspect && { aspect }) };
  return {
    bitmap: frame.bitmap,
    file: frame.file,
    atMs: frame.file ? frame.file.lastModified : performance.timeOrigin + frame.atMs,
    made: looks.map(({ asked: { name, controls, seed }, field }) => ({ field, look: named(name, controls), strength, recipe: { ...recipe, seed } })),
    software: `camera_nano ${version}`,
  };
}

/**
 * The press of a look that was shown ahead of the model, which now answers for this frame.
 * @param {Session} session
 * @param {Frame} frame
 * @param {Shoot} asked
 */
export async function pressAhead(session, frame, asked) {
  const toned = session.palette.toned(/** @type {string} */ (asked.look));
  const kept = { ...frame, bitmap: await createImageBitmap(frame.bitmap) }; // the session closes its own meanwhile
  const { fields } = await session.ask(kept, [toned], "");
  const looks = new Map([[toned.name, { asked: toned, field: fields[0] }]]);
  return pressOf(kept, { id: 0, frameId: frame.id, atMs: frame.atMs, assume: session.assumeOf(frame), looks }, asked);
}

/** Saves one shot after the other. */
export class Saver {
  nPending = 0;
  #isAsked = false;
  /** @type {Thread<Press, SavedShot, never>} */
  #thread = new Thread(new URL("saver.js", import.meta.url), "the thread that saves");

  /**
   * @param {Press} press its picture is copied at once: frames are closed when newer ones come
   * @param {{ frame_id: number }} asked
   * @param {boolean} exact whether it is of the frame that was asked for
   * @returns {Promise<{ shot: Shot, original_ms: number, took_ms: number }>}
   */
  async save(press, asked, exact) {
    this.nPending++;
    try {
      const bitmap = await createImageBitmap(press.bitmap);
      const { original_ms, took_ms, ...shot } = await this.#thread.ask({ ...press, bitmap }, { moved: [bitmap] });
      void this.#keep();
      return { shot: { type: /** @type {const} */ ("shot"), asked_frame_id: asked.frame_id, exact, moments: [], ...shot }, original_ms, took_ms };
    } finally {
      this.nPending--;
    }
  }

  /** Ask, once there is something to keep, that it is not cleared when this device is short of space. */
  async #keep() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    $("kept").hidden = (await navigator.storage.persist?.().catch(() => false)) ?? false;
  }
}

/**
 * A look as recipes have it, every control by its name.
 * @param {string} name
 * @param {Controls} controls
 */
function named(name, controls) {
  const all = Object.fromEntries(constants.controls.map((control) => [control, controls[control] ?? 0]));
  return { name, ...all, light_azimuth_deg: 0, light_elevation_deg: 0, light_strength: 0 };
}
