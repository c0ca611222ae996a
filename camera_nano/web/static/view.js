// The live view: the picture, the original beside it, and marks for what is clipped.

import { Divider } from "./divider.js";
import { $, draw, fit, make, pen } from "./dom.js";
import { Drawing } from "./drawing.js";

/**
 * @import { Controls } from "./dress.js"
 * @import { Look, ViewHeader, ViewMessage } from "./protocol.js"
 *
 * @typedef {object} Wish what is to be seen
 * @property {Look} look
 * @property {number} strength
 * @property {Controls | null} controls of the look, where they are known
 * @property {boolean} isComparing
 */

const SMALL_WIDTH_PX = 320; // marks and histogram are counted on a small copy: a full one would cost the frame rate
const BLACK = 2;

export class View {
  isSplit = false;
  hasHistogram = false;
  hasZebra = false;
  zebraPercent = 99;
  #small = make("canvas", { width: SMALL_WIDTH_PX, height: 180 });
  /** @type {ViewHeader | null} of the view in hand, where the page draws it */
  #header = null;
  #redrawing = 0;

  /**
   * @param {() => Wish} wish
   * @param {(isOn: boolean) => void} onDraws hears when the page begins or ends to draw looks itself
   */
  constructor(wish, onDraws) {
    this.wish = wish;
    this.drawing = new Drawing(onDraws);
    this.frame = $("frame");
    this.view = $("view", HTMLCanvasElement);
    this.before = $("before", HTMLCanvasElement);
    this.marks = $("marks", HTMLCanvasElement);
    this.histogram = $("histogram", HTMLCanvasElement);
    this.divider = new Divider($("divider"), this.frame);
  }

  /**
   * Draw a view message; returns its header with what is shown of it now.
   * @param {ViewMessage} message
   */
  async show(message) {
    const { header, picture, before } = message;
    if (header.draws) {
      await this.drawing.take(message);
      this.#header = header;
      return this.redraw() ?? header;
    }
    await Promise.all([draw(picture, this.view), before && draw(before, this.before)]);
    this.#header = null;
    this.#finish(before !== null);
    void this.drawing.rate(); // now that somebody looks: hidden pages have slow clocks
    return header;
  }

  /**
   * Draw what the page wants to see now of the frame and the fields in hand; null where the server has to draw it.
   * @returns {ViewHeader | null} as of `show`
   */
  redraw() {
    if (!this.#header) return null;
    const { look: wanted, strength, controls, isComparing } = this.wish();
    const { look, isAhead } = this.drawing.draw(this.view, isComparing ? null : wanted, strength, controls);
    const isSplit = this.isSplit && look !== null;
    if (isSplit) this.drawing.draw(this.before, null, 0);
    this.#finish(isSplit);
    cancelAnimationFrame(this.#redrawing);
    if (this.drawing.isEasing) this.#redrawing = requestAnimationFrame(() => this.redraw()); // a frame that stands still, too
    return { ...this.#header, look, strength, is_ahead: isAhead };
  }

  /** What is in hand may be of a session that has ended. */
  forget() {
    this.#header = null;
    this.drawing.forget();
  }

  /** @param {boolean} hasBefore */
  #finish(hasBefore) {
    this.before.hidden = this.divider.line.hidden = !(this.isSplit && hasBefore);
    this.#measure();
  }

  /** Histogram and clipping marks of what is on the screen. */
  #measure() {
    this.histogram.hidden = !this.hasHistogram;
    this.marks.hidden = !this.hasZebra;
    if (!this.hasHistogram && !this.hasZebra) return;
    fit(this.#small, SMALL_WIDTH_PX, Math.max(1, Math.round((this.view.height * SMALL_WIDTH_PX) / this.view.width)));
    const context = pen(this.#small, { willReadFrequently: true });
    context.drawImage(this.view, 0, 0, this.#small.width, this.#small.height);
    if (!this.before.hidden) this.#copyBefore(context);
    const pixels = context.getImageData(0, 0, this.#small.width, this.#small.height);
    if (this.hasHistogram) this.#drawHistogram(pixels.data);
    if (this.hasZebra) this.#drawMarks(pixels);
  }

  /**
   * Left of the divider the original is on the screen, so that is what counts there.
   * @param {CanvasRenderingContext2D} context
   */
  #copyBefore(context) {
    const share = this.divider.percent / 100;
    const from = this.frame.classList.contains("mirrored") ? 1 - share : 0;
    const { width, height } = this.before;
    const small = this.#small;
    context.drawImage(this.before, from * width, 0, share * width, height, from * small.width, 0, share * small.width, small.height);
  }

  /** @param {ImageDataArray} data */
  #drawHistogram(data) {
    const counts = [0, 1, 2].map(() => new Uint32Array(64));
    for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) counts[c][data[i + c] >> 2]++;
    const { width, height } = this.histogram;
    const context = pen(this.histogram);
    context.clearRect(0, 0, width, height);
    context.globalCompositeOperation = "lighter";
    const inner = counts.flatMap((count) => [...count.subarray(1, 63)]);
    const top = Math.max(1, ...inner); // clipped bins would flatten the rest
    counts.forEach((count, c) => {
      context.fillStyle = ["#c0392b", "#27a35a", "#2f74d0"][c];
      count.forEach((n, bin) => {
        const tall = Math.min(1, n / top) * height;
        context.fillRect((bin * width) / 64, height - tall, width / 64, tall);
      });
    });
    /** @param {number} bin */
    const share = (bin) => Math.max(...counts.map((count) => count[bin])) / (data.length / 4);
    this.histogram.dataset.clippedLight = share(63).toFixed(3);
    this.histogram.dataset.clippedShadow = share(0).toFixed(3);
  }

  /**
   * Thin red stripes where a channel is at its end, blue where all are black; the subject shows between them.
   * @param {ImageData} pixels
   */
  #drawMarks({ data, width, height }) {
    fit(this.marks, width, height);
    const context = pen(this.marks);
    const marks = context.createImageData(width, height);
    const limit = (255 * this.zebraPercent) / 100;
    let n = 0;
    for (let i = 0, p = 0; i < data.length; i += 4, p++) {
      const high = Math.max(data[i], data[i + 1], data[i + 2]);
      const isLight = high >= limit;
      if (!isLight && high > BLACK) continue;
      n++;
      if (((p % width) + Math.floor(p / width)) % 5) continue;
      marks.data.set(isLight ? [255, 70, 50, 200] : [70, 130, 255, 200], i);
    }
    context.putImageData(marks, 0, 0);
    this.marks.dataset.share = (n / (width * height)).toFixed(4);
  }
}
