// Looks shown ahead of the model: while a slider moves, its newest answer is changed by formula to what is wanted by now.

import { floats, redressed } from "./dress.js";

/**
 * @import { Controls } from "./dress.js"
 * @import { LookField } from "./protocol.js"
 *
 * @typedef {Pick<LookField, "grid" | "whiteEv">} Shown
 */

const EASED_MS = 250;

export class Ahead {
  /** @type {{ made: LookField, controls: Controls, shown: Shown } | null} what was shown last */
  #last = null;
  /** @type {{ grid: Float32Array, whiteEv: number[], bornMs: number } | null} what formulas said less what the model says */
  #gap = null;

  /** Whether what is shown will change by itself; not for ever, since nobody may ask for this look again. */
  get isEasing() {
    return this.#gap !== null && performance.now() < this.#gap.bornMs + 2 * EASED_MS;
  }

  /**
   * What to draw of a look, and whether it is ahead of the model. When the answer comes nothing jumps: the gap closes
   * within a quarter of a second.
   * @param {LookField} made
   * @param {Controls | null} controls that are wanted, where they are known
   * @returns {{ field: Shown, isAhead: boolean }}
   */
  of(made, controls) {
    const wanted = controls ?? made.controls;
    const isAhead = !isSame(wanted, made.controls);
    const last = this.#last;
    if (last?.made === made && isSame(last.controls, wanted)) return { field: this.#eased(last.shown), isAhead };
    const shown = isAhead ? redressed(made, made.controls, wanted) : made;
    const isAnswer = last?.made.look === made.look && last.made !== made && last.shown !== last.made;
    if (isAnswer) this.#gap = gapOf(this.#eased(last.shown), shown);
    else if (last?.made.look !== made.look) this.#gap = null;
    this.#last = { made, controls: wanted, shown };
    return { field: this.#eased(shown), isAhead };
  }

  /**
   * @param {Shown} shown
   * @returns {Shown}
   */
  #eased(shown) {
    if (this.#gap === null) return shown;
    const { grid, whiteEv, bornMs } = this.#gap;
    const share = 1 - (performance.now() - bornMs) / EASED_MS;
    if (share <= 0) {
      this.#gap = null;
      return shown;
    }
    return {
      grid: floats(shown.grid).map((value, i) => value + share * grid[i]),
      whiteEv: Array.from(shown.whiteEv, (value, i) => Math.min(0, value + share * whiteEv[i])),
    };
  }
}

/**
 * @param {Shown} before
 * @param {Shown} now
 */
function gapOf(before, now) {
  const grid = floats(now.grid);
  return {
    grid: floats(before.grid).map((value, i) => value - grid[i]),
    whiteEv: Array.from(before.whiteEv, (value, i) => value - now.whiteEv[i]),
    bornMs: performance.now(),
  };
}

/**
 * @param {Controls} these
 * @param {Controls} those
 */
const isSame = (these, those) => Object.entries(these).every(([name, value]) => value === those[name]);
