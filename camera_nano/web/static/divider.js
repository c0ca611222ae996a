// The line between original and look, drawn over a frame: by pointer, anywhere near it, and by keys.

/** @type {Record<string, number | undefined>} */
const STEPS = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };

export class Divider {
  /**
   * `line` is a slider inside `frame`; the frame's --split says where it is.
   * @param {HTMLElement} line
   * @param {HTMLElement} frame
   */
  constructor(line, frame) {
    this.line = line;
    this.frame = frame;
    line.addEventListener("pointerdown", (event) => {
      line.setPointerCapture(event.pointerId);
      line.onpointermove = (at) => this.#follow(at);
      event.stopPropagation(); // not a press on the view
    });
    for (const end of ["pointerup", "pointercancel"]) line.addEventListener(end, () => (line.onpointermove = null));
    line.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation(); // arrows choose looks elsewhere
      this.set(this.percent + step);
    });
    this.set(50);
  }

  get percent() {
    return Number(this.line.ariaValueNow);
  }

  /**
   * Move to 0..100 from the left.
   * @param {number} percent
   */
  set(percent) {
    const at = Math.round(Math.min(100, Math.max(0, percent)));
    this.frame.style.setProperty("--split", `${at}%`);
    this.line.ariaValueNow = String(at);
  }

  /** @param {PointerEvent} at */
  #follow({ clientX }) {
    const { left, width } = this.frame.getBoundingClientRect();
    this.set((100 * (clientX - left)) / width);
  }
}
