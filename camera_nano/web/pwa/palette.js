// The looks on offer, as looks/palette.py: named ones, ones made of words, and two tone sliders that change them all.

import { toned } from "../static/dress.js";
import { constants } from "./constants.js";
import { parse } from "./words.js";

/**
 * @import { Controls } from "./constants.js"
 * @import { OfferedLook, ToneValues } from "../static/protocol.js"
 * @import { Asked } from "./worker.js"
 */

const MOST_WORDED = 6;
const KEPT = "camera-nano-words";

export class Palette {
  /** @type {Map<string, Controls>} before the tone is applied, in order */
  looks = new Map(Object.entries(constants.looks));
  /** @type {Map<string, string>} the words of each look that was made of some */
  texts = new Map();
  /** @type {ToneValues} */
  tone = { highlights: 0, shadows: 0 };
  /** @type {Record<string, number>} of the looks for which a take was picked */
  seeds = {};
  #named = new Map(this.looks);

  constructor() {
    this.#restore();
  }

  /** @returns {OfferedLook[]} */
  get offered() {
    return [...this.looks].map(([name, controls]) => ({ name, words: this.texts.get(name) ?? null, controls }));
  }

  /**
   * What to ask the model for: every look with the tone applied, within the range that it was trained on.
   * @returns {Asked[]}
   */
  get asked() {
    return [...this.looks.keys()].map((name) => this.toned(name));
  }

  /**
   * @param {string} name
   * @returns {Asked}
   */
  toned(name) {
    const look = this.looks.get(name);
    if (!look) throw new Error(`there is no look named ${name}`);
    const controls = toned(look, this.tone, constants.ranges);
    return { name, controls, seed: this.seeds[name] ?? 0 };
  }

  /**
   * @param {string} look
   * @param {number | null} seed null is the usual answer again
   */
  pick(look, seed) {
    const others = Object.entries(this.seeds).filter(([name]) => name !== look);
    this.seeds = Object.fromEntries(seed === null ? others : [...others, [look, seed]]);
  }

  /**
   * One more look, made of words; and how they were understood.
   * @param {string} text
   */
  add(text) {
    const { name, controls, parts } = parse(text, this.#named);
    if (this.looks.has(name) && JSON.stringify(this.looks.get(name)) !== JSON.stringify(controls)) {
      throw new Error(`another look is already called '${name}': word it differently`);
    }
    if (!this.looks.has(name)) {
      if (this.texts.size >= MOST_WORDED) throw new Error(`there are ${MOST_WORDED} looks made of words already: remove one first`);
      this.looks.set(name, controls);
      this.texts.set(name, text);
      this.#keep();
    }
    return { name, parts };
  }

  /** @param {string} name of a look that was made of words */
  forget(name) {
    if (!this.texts.delete(name)) throw new Error(`'${name}' is not a look made of words here; only those can be removed`);
    this.looks.delete(name);
    this.pick(name, null);
    this.#keep();
  }

  /** Those of earlier visits; words that are not known any more are left out. */
  #restore() {
    try {
      for (const text of JSON.parse(localStorage.getItem(KEPT) ?? "[]")) this.add(text);
    } catch {
      // a private window may refuse storage
    }
  }

  #keep() {
    try {
      localStorage.setItem(KEPT, JSON.stringify([...this.texts.values()]));
    } catch {
      // as above
    }
  }
}
