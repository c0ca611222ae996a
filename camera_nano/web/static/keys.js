// The keyboard: space is the shutter, C compares while held, digits and arrows choose, letters switch aids. On a button
// that has the focus space presses that, unless a pointer gave it the focus: then people mean the shutter.

/**
 * @typedef {object} Actions
 * @property {() => void} press
 * @property {() => void} release
 * @property {() => boolean} isOn whether single keys do anything
 * @property {(on: boolean) => void} compare
 * @property {(index: number) => void} choose
 * @property {(step: number) => void} move
 * @property {(letter: string) => void} toggle
 */

/** @param {Actions} act */
export function listen(act) {
  /** @type {Element | null} what a pointer pressed last, while it has the focus */
  let pressed = null;
  const isPressed = (/** @type {KeyboardEvent} */ { key, target }) =>
    key === " " && target instanceof HTMLButtonElement && target !== pressed && target.id !== "shutter";
  document.addEventListener("pointerdown", ({ target }) => (pressed = target instanceof Element ? target.closest("button") : null));
  document.addEventListener("focusin", ({ target }) => target !== pressed && (pressed = null));
  document.addEventListener("keydown", (event) => {
    if (!act.isOn() || isPressed(event)) return;
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
      if (act.isOn() && !isPressed(event) && !isElsewhere(event.target)) event.preventDefault(); // else a button is pressed, too
      act.release();
    } else if (event.key.toLowerCase() === "c") act.compare(false);
  });
  window.addEventListener("blur", () => act.compare(false)); // the key-up would go elsewhere
}

/**
 * Whether keys belong to a text or to an open sheet.
 * @param {EventTarget | null} element
 */
function isElsewhere(element) {
  const isWriting = element instanceof HTMLInputElement && element.type !== "range";
  return isWriting || document.querySelector("dialog[open]") !== null;
}

/**
 * Call `act(true)` while a pointer holds the element, `act(false)` after.
 * @param {HTMLElement} element
 * @param {(on: boolean) => void} act
 */
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
}

const CLICK_MS = 350; // longer is a hold

/**
 * A switch that also works while it is held: a click or a key keeps it on until the next, a hold ends as it is let go.
 * @param {HTMLElement} button
 * @param {(on: boolean) => void} act
 */
export function heldOrKept(button, act) {
  let sinceMs = 0;
  let wasOn = false;
  whileHeld(button, (on) => {
    if (on) {
      sinceMs = performance.now();
      wasOn = button.ariaPressed === "true";
      act(true);
    } else if (sinceMs) {
      const isClick = performance.now() - sinceMs < CLICK_MS;
      sinceMs = 0;
      act(isClick && !wasOn);
    }
  });
  button.addEventListener("click", (event) => event.detail === 0 && act(button.ariaPressed !== "true")); // no pointer did it
}

const LONG_MS = 450; // as at the shutter

/**
 * Call `act` when a pointer has held an element for a while and stayed where it was.
 * @param {HTMLElement} element
 * @param {() => void} act
 */
export function onLongPress(element, act) {
  let timer = 0;
  element.addEventListener("pointerdown", ({ button }) => {
    if (button === 0) timer = setTimeout(act, LONG_MS);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) element.addEventListener(end, () => clearTimeout(timer));
  element.addEventListener("contextmenu", (event) => event.preventDefault());
}
