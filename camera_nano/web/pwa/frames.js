// The newest frames at full size: what the shutter can reach back to. Browsers do not collect pictures in time, so each is
// closed here.

const KEPT = 3; // the two that a page may show, and the one that came since

/**
 * @typedef {object} Frame
 * @property {number} id
 * @property {ImageBitmap} bitmap
 * @property {number} atMs when it was taken, by performance.now()
 * @property {string} scene frames of one follow each other in time
 * @property {File | null} file that it was read from; a camera's has none
 */

export class Frames {
  /** @type {Frame[]} */
  #kept = [];
  #n = 0;

  get newest() {
    return this.#kept.at(-1) ?? null;
  }

  /**
   * @param {Omit<Frame, "id">} frame
   * @returns {Frame}
   */
  add(frame) {
    const added = { ...frame, id: ++this.#n };
    this.#kept.push(added);
    while (this.#kept.length > KEPT) this.#kept.shift()?.bitmap.close();
    return added;
  }

  /**
   * The frame of this id, or the newest, or none.
   * @param {number} id
   */
  get(id) {
    return this.#kept.find((frame) => frame.id === id) ?? this.newest;
  }

  /** What comes next is something else. */
  clear() {
    for (const { bitmap } of this.#kept.splice(0)) bitmap.close();
  }
}
