// Pictures at another exposure, where the page's own camera can take them.

const SETTLING_MS = 500; // an exposure takes some frames to arrive

/**
 * @typedef {{ exposureCompensation?: { min: number, max: number } }} Capabilities of a track, beside those of lib.dom
 * @typedef {{ type: "bracket", ev: number } | { type: "no_bracket" | "camera" }} Said what the server is told before a
 *   picture: "camera" is another one than before
 */

export class Bracket {
  #usual = 0;
  #ev = 0; // stops against the usual exposure, now

  /** @param {MediaStreamTrack} track of a camera that was just opened */
  begin(track) {
    const settings = /** @type {{ exposureCompensation?: number }} */ (track.getSettings());
    this.#usual = settings.exposureCompensation ?? 0;
    this.#ev = 0;
  }

  /**
   * Set the exposure of the next picture, and wait until it is there.
   * @param {MediaStreamTrack} track
   * @param {number} ev stops against the usual one
   * @returns {Promise<Said | null>}
   */
  async set(track, ev) {
    if (ev === this.#ev) return null;
    const { exposureCompensation: range } = /** @type {Capabilities} */ (track.getCapabilities?.() ?? {});
    const wanted = this.#usual + ev;
    if (!range || wanted < range.min || wanted > range.max) return { type: "no_bracket" };
    const constraint = /** @type {MediaTrackConstraintSet} */ ({ exposureCompensation: wanted });
    await track.applyConstraints({ advanced: [constraint] });
    this.#ev = ev;
    await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
    return ev ? { type: "bracket", ev } : null;
  }
}
