// How long stages take and how often things happen, lately: live/timing.py.

const KEPT = 120;
/** What takes a second or two is given up after this time; eight takes on a slow phone are within it. */
export const LONGEST_MS = 60_000;
const SMOOTH_MS = 33; // a view that takes longer is drawn by the processor
const [REST, LONGEST_REST_MS] = [3, 1000]; // as many times as long as the work took

/** @param {number} ms */
export const pause = (ms) => new Promise((then) => setTimeout(then, ms));

/**
 * What a promise gives, or an error where it gives nothing for longer than a slow device takes.
 * @template Value
 * @param {Promise<Value>} promise
 * @param {string} why
 * @returns {Promise<Value>}
 */
export function within(promise, why) {
  let timer = 0;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(why)), LONGEST_MS)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * How long to leave the processor to a shot that is being saved, after a view or looks: 0 where a GPU draws.
 * @param {number} tookMs
 * @param {number} viewMs what the last view took
 */
export const restMs = (tookMs, viewMs) => (viewMs > SMOOTH_MS ? Math.min(REST * tookMs, LONGEST_REST_MS) : 0);

export class StageTimes {
  /** @type {Map<string, number[]>} */
  #ms = new Map();

  /** @param {Record<string, number>} stages milliseconds by name */
  add(stages) {
    for (const [name, ms] of Object.entries(stages)) this.#ms.set(name, [...(this.#ms.get(name) ?? []), ms].slice(-KEPT));
  }

  /** Median and 95th percentile by stage. */
  get summary() {
    const at = (/** @type {number[]} */ sorted, /** @type {number} */ share) => sorted[Math.floor(share * (sorted.length - 1))];
    const told = [...this.#ms].map(([name, ms]) => {
      const sorted = [...ms].sort((a, b) => a - b);
      return [name, { p50_ms: at(sorted, 0.5), p95_ms: at(sorted, 0.95) }];
    });
    return Object.fromEntries(told);
  }
}

export class Rate {
  /** @type {number[]} */
  #at = [];

  tick() {
    this.#at = [...this.#at.slice(-KEPT), performance.now()];
  }

  /** Events a second, over the last two. */
  get perS() {
    const since = performance.now() - 2000;
    return this.#at.filter((at) => at > since).length / 2;
  }
}
