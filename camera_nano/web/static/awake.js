// Keeps the screen on while something needs it: a page whose screen went dark takes no pictures.

const reasons = new Set();
let lock = null;

/** Hold the screen on for a reason, or let that reason go. Browsers without a wake lock do nothing. */
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
  if (!reasons.size && lock?.release) lock.release();
}

document.addEventListener("visibilitychange", update);
