// Interval shooting: one shot every so many seconds, until told to stop.

import { keepAwake } from "./awake.js";

const TICK_MS = 200;

export class Interval {
  #ticking = 0;

  /** `shoot()` is called when one is due, `count(text)` with the seconds to the next; `settings` has interval. */
  constructor(shoot, count, settings) {
    Object.assign(this, { shoot, count, settings });
    this.button = document.getElementById("interval");
    this.button.addEventListener("click", () => this.run(!this.isOn));
  }

  get isOn() {
    return this.#ticking !== 0;
  }

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
