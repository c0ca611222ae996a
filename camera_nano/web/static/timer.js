// The self-timer: the shutter waits some seconds, and counts them over the view.

import { keepAwake } from "./awake.js";
import { $ } from "./dom.js";

const CHOICES_S = [0, 3, 10];

/** @import { Settings } from "./settings.js" */

export class SelfTimer {
  #ticking = 0;

  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    this.count = $("timer-count");
    $("timer").addEventListener("click", () => {
      const next = CHOICES_S.indexOf(settings.values.timer) + 1;
      settings.set("timer", CHOICES_S[next % CHOICES_S.length]);
    });
  }

  /**
   * Call `shoot` when the time is over, at once without a time. While it runs, another press ends it.
   * @param {() => void} shoot
   * @returns {boolean} whether the press was for the timer
   */
  press(shoot) {
    if (this.#ticking) {
      this.cancel();
      return true;
    }
    const seconds = this.settings.values.timer;
    if (!seconds) return false;
    const dueMs = performance.now() + 1000 * seconds;
    const tick = () => {
      const leftMs = dueMs - performance.now();
      this.count.textContent = String(Math.ceil(leftMs / 1000));
      if (leftMs > 0) return;
      this.cancel();
      shoot();
    };
    keepAwake("timer", true);
    this.#ticking = setInterval(tick, 100);
    this.count.hidden = false;
    tick();
    return true;
  }

  cancel() {
    clearInterval(this.#ticking);
    this.#ticking = 0;
    this.count.hidden = true;
    keepAwake("timer", false);
  }
}
