// The keyboard: space is the shutter everywhere, C compares while held, digits and arrows choose, letters switch aids.

/** `act` has press(), release(), compare(bool), choose(index), move(step) and toggle(letter). */
export function listen(act) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const inSlider = event.target instanceof HTMLInputElement;
    if (isElsewhere(event.target)) return;
    if (key === " ") {
      event.preventDefault(); // else a focused button would be pressed too
      if (!event.repeat) act.press();
    } else if (key === "c") {
      if (!event.repeat) act.compare(true);
    } else if (/^[0-9]$/.test(key)) {
      act.choose(Number(key));
    } else if (!inSlider && (key === "arrowright" || key === "arrowdown")) {
      event.preventDefault();
      act.move(1);
    } else if (!inSlider && (key === "arrowleft" || key === "arrowup")) {
      event.preventDefault();
      act.move(-1);
    } else if (!event.repeat) {
      act.toggle(key);
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") {
      if (!isElsewhere(event.target)) event.preventDefault(); // a button is pressed as the key comes up
      act.release();
    } else if (event.key.toLowerCase() === "c") act.compare(false);
  });
  window.addEventListener("blur", () => act.compare(false)); // the key-up would go elsewhere
}

/** Whether keys belong to a text or to an open sheet. */
function isElsewhere(element) {
  const isWriting = element instanceof HTMLInputElement && element.type !== "range";
  return isWriting || document.querySelector("dialog[open]") !== null;
}

/** Call `act(true)` while a pointer (or Enter) holds the element, `act(false)` after. */
export function whileHeld(element, act) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    act(true);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(end, () => act(false));
  }
  element.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
  element.addEventListener("keydown", (event) => event.key === "Enter" && !event.repeat && act(true));
  element.addEventListener("keyup", (event) => event.key === "Enter" && act(false));
}
