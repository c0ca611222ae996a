// A picture under fingers, mouse or wheel: pinch and wheel zoom, drags pan or swipe, taps and holds are told.

const LARGEST = 8;
const LOUPE = 3; // times as large as at rest
const HOLD_MS = 220;
const DOUBLE_MS = 280;
const MOVED_PX = 8;
const SWIPE_PX = 60;

/**
 * @typedef {object} Actions
 * @property {() => boolean} [fills] whether a picture at rest fills its box, in place of being whole in it
 * @property {(x: number, y: number) => void} [tap] where in the picture, 0..1 from its left and top
 * @property {(on: boolean) => void} [hold]
 * @property {(step: -1 | 1) => void} [swipe] to the one before or after
 */

export class Zoom {
  /** @type {Map<number, { x: number, y: number }>} */
  #fingers = new Map();
  #scale = 1;
  #x = 0; // of the picture's middle, from that of the box, in pixels
  #y = 0;
  #isAtRest = true;
  #hasMoved = false;
  #isHeld = false;
  #drag = 0;
  #timer = 0;
  #tapTimer = 0;

  /**
   * @param {HTMLElement} box what clips the picture
   * @param {HTMLElement} picture as large as fits the box; its --zoom, --x and --y are set here
   * @param {Actions} on
   */
  constructor(box, picture, on) {
    this.box = box;
    this.picture = picture;
    this.on = on;
    box.addEventListener("pointerdown", (event) => event.button === 0 && this.#down(event));
    box.addEventListener("pointermove", (event) => this.#fingers.has(event.pointerId) && this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      box.addEventListener(end, (event) => event instanceof PointerEvent && this.#fingers.has(event.pointerId) && this.#up(event));
    }
    box.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#to(this.#scale * Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    });
    new ResizeObserver(() => this.#isAtRest && this.rest()).observe(box);
    new ResizeObserver(() => this.#isAtRest && this.rest()).observe(picture);
  }

  /** Back to how it is when nobody has zoomed. */
  rest() {
    this.#isAtRest = true;
    this.#x = this.#y = 0;
    this.#scale = this.#restScale;
    this.#show();
  }

  /** Much larger, or back. */
  loupe(x = NaN, y = NaN) {
    if (!this.#isAtRest) return this.rest();
    const { left, top, width, height } = this.box.getBoundingClientRect();
    this.#to(LOUPE * this.#scale, x || left + width / 2, y || top + height / 2);
  }

  get #restScale() {
    const { offsetWidth: width, offsetHeight: height } = this.picture;
    if (!this.on.fills?.() || !width || !height) return 1;
    return Math.max(this.box.clientWidth / width, this.box.clientHeight / height);
  }

  /**
   * Zoom about a point of the screen, which stays where it is.
   * @param {number} wanted
   * @param {number} clientX
   * @param {number} clientY
   */
  #to(wanted, clientX, clientY) {
    const scale = Math.min(LARGEST, Math.max(1, wanted));
    const { left, top, width, height } = this.box.getBoundingClientRect();
    const grow = scale / this.#scale;
    this.#x += (clientX - left - width / 2 - this.#x) * (1 - grow);
    this.#y += (clientY - top - height / 2 - this.#y) * (1 - grow);
    this.#scale = scale;
    this.#isAtRest = Math.abs(scale - this.#restScale) < 0.01;
    this.#show();
  }

  /** No edge of a picture that is larger than its box comes into it. */
  #show() {
    const far = (/** @type {number} */ size, /** @type {number} */ room) => Math.max(0, (size * this.#scale - room) / 2);
    const farX = far(this.picture.offsetWidth, this.box.clientWidth);
    const farY = far(this.picture.offsetHeight, this.box.clientHeight);
    this.#x = Math.min(farX, Math.max(-farX, this.#x));
    this.#y = Math.min(farY, Math.max(-farY, this.#y));
    const { style, dataset } = this.picture;
    style.setProperty("--zoom", this.#scale.toFixed(4));
    style.setProperty("--x", `${this.#x.toFixed(1)}px`);
    style.setProperty("--y", `${this.#y.toFixed(1)}px`);
    dataset.zoom = this.#scale.toFixed(2);
  }

  /** @param {PointerEvent} event */
  #down({ pointerId, clientX, clientY, target }) {
    if (target instanceof Element && target.closest("button")) return;
    this.box.setPointerCapture(pointerId);
    this.#fingers.set(pointerId, { x: clientX, y: clientY });
    clearTimeout(this.#timer);
    this.#hasMoved = this.#fingers.size > 1;
    this.#drag = 0;
    if (!this.#hasMoved && this.on.hold) this.#timer = setTimeout(() => this.#hold(true), HOLD_MS);
  }

  /** @param {PointerEvent} event */
  #move({ pointerId, clientX, clientY }) {
    const [before] = this.#spread();
    const finger = this.#fingers.get(pointerId);
    if (!finger || this.#isHeld) return;
    const [dx, dy] = [clientX - finger.x, clientY - finger.y];
    if (!this.#hasMoved && Math.hypot(dx, dy) < MOVED_PX) return;
    this.#hasMoved = true;
    clearTimeout(this.#timer);
    this.#fingers.set(pointerId, { x: clientX, y: clientY });
    this.#drag += dx;
    this.#x += dx / this.#fingers.size;
    this.#y += dy / this.#fingers.size;
    const [after, x, y] = this.#spread();
    if (before > 0) this.#to((this.#scale * after) / before, x, y);
    else this.#show();
  }

  /** How far two fingers are apart, 0 for one; and the middle between them. */
  #spread() {
    const [one, two = one] = [...this.#fingers.values()];
    return [Math.hypot(one.x - two.x, one.y - two.y), (one.x + two.x) / 2, (one.y + two.y) / 2];
  }

  /** @param {PointerEvent} event */
  #up({ pointerId, clientX, clientY, type }) {
    clearTimeout(this.#timer);
    const wasOne = this.#fingers.size === 1;
    this.#fingers.delete(pointerId);
    if (this.#isHeld) this.#hold(false);
    else if (type === "pointerup" && !this.#hasMoved) this.#tap(clientX, clientY);
    else if (wasOne && this.#isAtRest && Math.abs(this.#drag) > SWIPE_PX) this.on.swipe?.(this.#drag < 0 ? 1 : -1);
  }

  /** @param {boolean} on */
  #hold(on) {
    this.#isHeld = on;
    this.on.hold?.(on);
  }

  /**
   * A second tap soon after makes them a double one.
   * @param {number} clientX
   * @param {number} clientY
   */
  #tap(clientX, clientY) {
    if (this.#tapTimer) {
      clearTimeout(this.#tapTimer);
      this.#tapTimer = 0;
      this.loupe(clientX, clientY);
      return;
    }
    this.#tapTimer = setTimeout(() => {
      this.#tapTimer = 0;
      const { left, top, width, height } = this.picture.getBoundingClientRect();
      const [x, y] = [(clientX - left) / width, (clientY - top) / height];
      if (x >= 0 && x <= 1 && y >= 0 && y <= 1) this.on.tap?.(x, y);
    }, DOUBLE_MS);
  }
}
