// What the build wrote down of the Python package: its looks, vocabulary and limits, and the hashes of the weights.

// The build writes this. It is no JSON to wait for: WebKit never runs a page whose two scripts share a module that waits.
import said from "../said.js";

/**
 * @typedef {import("../static/dress.js").Controls} Controls
 * @typedef {import("../static/dress.js").Ranges} Ranges
 * @typedef {"auto" | "captured" | "finished"} Assume
 *
 * @typedef {object} Constants
 * @property {string} version of the package
 * @property {string} model its name in recipes
 * @property {Record<string, string>} sha256 of the model's files, hex
 * @property {string[]} controls what the model is told, in order
 * @property {Record<Assume, number>} assumed_logit values.ASSUMED_LOGIT
 * @property {[start: number, end: number]} assumed_tones values.ASSUMED_TONES
 * @property {number} n_steps
 * @property {number} n_seeds whose noise was shipped, from 0
 * @property {number} tone_limit_ev
 * @property {Ranges} ranges
 * @property {Record<string, Controls>} looks the named ones, in order
 * @property {Vocabulary} words
 *
 * @typedef {object} Vocabulary looks/vocabulary.py, whose names these are
 * @property {Record<string, string>} synonyms
 * @property {Record<string, Controls>} changes
 * @property {Record<string, Controls>} nouns
 * @property {Record<string, number>} degrees
 * @property {Record<string, Controls>} directions
 * @property {string[]} fillers
 */

export const constants = /** @type {Constants} */ (said);
