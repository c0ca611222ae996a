// Interval shooting: one shot every so many seconds, until told to stop.

import { keepAwake } from "./awake.js";
import { $ } from "./dom.js";

/** @import { Settings } from "./settings.js" */

const TICK_MS = 200;

export class Interval {
  #ticking = 0;

  /**
   * @param {() => void} shoot called when one is due
   * @param {(text: string) => void} count called with the seconds to the next
   * @param {Settings} settings
   */
  constructor(shoot, count, settings) {
    this.shoot = shoot;
    this.count = count;
    this.settings = settings;
    this.button = $("interval", HTMLButtonElement);
    this.button.addEventListener("click", () => this.run(!this.isOn));
  }

  get isOn() {
    return this.#ticking !== 0;
  }

  /** @param {boolean} on */
  run(on) {
    clearInterval(this.#ticking);
    this.#ticking = 0;
    this.button.ariaPressed = String(on);
    keepAwake("interval", on);
    this.count("");
    if (!on) return;
    let dueMs = performance.now();
    const tick = () => {
      const everyMs = 1000 * this.settings.values.interval;
      const lateMs = performance.now() - dueMs;
      if (lateMs >= 0) {
        this.shoot();
        // keeps its beat; shots that a sleeping page missed are not made up for
        dueMs += everyMs * (1 + Math.floor(lateMs / everyMs));
      }
      this.count(String(Math.ceil((dueMs - performance.now()) / 1000)));
    };
    tick();
    this.#ticking = setInterval(tick, TICK_MS);
  }
}
