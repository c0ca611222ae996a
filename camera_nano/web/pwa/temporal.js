// Smoothing fields over time, as light/temporal.py: light stays steady while the scene does, and changes at once when the
// scene does.

/** @import { EditField } from "./engine.js" */

const STEADY = 0.35; // weight of the newest field while nothing changes
const CUT = 0.12; // mean change of code values (0..1) above which only the newest field counts

/**
 * The weight of the newest field, by how much the thumbnail has changed.
 * @param {Float32Array} before
 * @param {Float32Array} now
 */
export function newestShare(before, now) {
  const change = now.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0) / now.length;
  return Math.min(1, STEADY + ((1 - STEADY) * change) / CUT);
}

/**
 * The old field and `share` of the new one, in EV; the new one where there is no old.
 * @param {EditField | undefined} before
 * @param {EditField} now
 * @param {number} share
 * @returns {EditField}
 */
export function mix(before, now, share) {
  if (before === undefined || share === 1) return now;
  const old = before;
  const mixed = (/** @type {number} */ value, /** @type {number} */ was) => was + share * (value - was);
  return {
    grid: now.grid.map((value, i) => mixed(value, old.grid[i])),
    whiteEv: now.whiteEv.map((value, i) => mixed(value, old.whiteEv[i])),
    settled: mixed(now.settled, old.settled),
  };
}
