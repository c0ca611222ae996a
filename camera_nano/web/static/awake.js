// Keeps the screen on while something needs it: a page whose screen went dark takes no pictures.

/** @type {Set<string>} */
const reasons = new Set();
/** @type {WakeLockSentinel | "asked" | null} */
let lock = null;

/**
 * Hold the screen on for a reason, or let that reason go. Browsers without a wake lock do nothing.
 * @param {string} reason
 * @param {boolean} on
 */
export function keepAwake(reason, on) {
  if (on) reasons.add(reason);
  else reasons.delete(reason);
  update();
}

async function update() {
  if (reasons.size && lock === null && !document.hidden) {
    lock = "asked";
    lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    // the browser takes it back when the page is hidden
    lock?.addEventListener("release", () => (lock = null));
  }
  if (!reasons.size && lock !== "asked") lock?.release();
}

document.addEventListener("visibilitychange", update);
