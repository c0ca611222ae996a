// Looks drawn by the page itself, of frames and fields, where the browser is quick enough; else the server draws them.

import { Ahead } from "./ahead.js";
import { fit, make, pen } from "./dom.js";
import { Light } from "./light.js";

/**
 * @import { Controls } from "./dress.js"
 * @import { Look, Tile, ViewMessage } from "./protocol.js"
 */

const TILE_WIDTH_PX = 400;
const VIEW = { width: 1280, height: 720 };
const SLOW_MS = 25; // for a look of the view's size; the server is quicker then
const N_TIMED = 2;

/** @typedef {string} Where "here", "there", or "" for the quicker one */

export class Drawing {
  /** @type {{ view: Light, tile: Light } | null} null where there is no WebGL2 */
  #lights = null;
  #ahead = new Ahead();
  #small = make("canvas");
  /** @type {ViewMessage["fields"]} */
  #fields = [];
  /** @type {ViewMessage["fields"] | null} those of the next frame, which is being decoded */
  #coming = null;
  /** @type {ImageBitmap | null} */
  #frame = null;
  #exposedEv = 0; // of looks of this frame
  #isRated = false;
  #bestMs = Infinity; // for a look of the view's size
  /** @type {Where} */
  #where = "";

  /** @param {(isOn: boolean) => void} onChange hears when it is switched on or off */
  constructor(onChange) {
    this.onChange = onChange;
    try {
      this.#lights = { view: new Light(make("canvas")), tile: new Light(make("canvas")) };
    } catch {
      return; // the server draws
    }
    for (const { canvas } of Object.values(this.#lights)) {
      for (const change of ["webglcontextlost", "webglcontextrestored"]) canvas.addEventListener(change, () => onChange(this.isOn));
    }
  }

  /** @param {Where} where */
  set where(where) {
    if (where === this.#where) return;
    this.#where = where;
    this.onChange(this.isOn);
  }

  /** Learn once how quick this browser is. */
  async rate() {
    const light = this.#lights?.view;
    if (!light || light.isSoftware || this.#isRated || this.#where !== "") return;
    this.#isRated = true;
    light.frame(make("canvas", VIEW));
    light.field({ grid: new Float32Array(16 * 16 * 8 * 4), whiteEv: [0, 0, 0] }, 1);
    for (let n = 0; n <= N_TIMED && !this.isOn; n++) {
      const started = performance.now();
      light.draw();
      await light.drawn();
      if (n > 0) this.#bestMs = Math.min(this.#bestMs, performance.now() - started); // the first makes the shader ready
    }
    if (this.isOn) this.onChange(true);
  }

  get isOn() {
    const isThere = this.#lights !== null && !this.#lights.view.isLost && !this.#lights.tile.isLost;
    return isThere && (this.#where === "" ? this.#bestMs <= SLOW_MS : this.#where === "here");
  }

  /** For Details: where looks are drawn, and why. */
  get told() {
    const where = this.isOn ? "in this browser" : "beside the camera";
    if (this.#where !== "") return { where, why: "as set" };
    if (!this.#lights) return { where, why: "this browser has no WebGL2" };
    if (this.#lights.view.isSoftware) return { where, why: "this browser has no GPU" };
    return { where, why: this.#bestMs < Infinity ? `a look takes ${this.#bestMs.toFixed(0)} ms here` : "" };
  }

  /**
   * Take in a view that is to be drawn here.
   * @param {ViewMessage} message
   */
  async take({ header, picture, fields }) {
    if (fields.length) this.#coming = fields; // also of a frame that cannot be decoded: they come once
    const frame = await createImageBitmap(picture, { colorSpaceConversion: "none" });
    this.#frame?.close(); // Chromium leaks it otherwise
    this.#frame = frame;
    this.#fields = this.#coming ?? this.#fields;
    this.#coming = null;
    this.#exposedEv = header.exposed_ev;
    this.#lights?.view.frame(frame, this.#exposedEv);
  }

  /** Of another session, or another connection. */
  forget() {
    this.#fields = [];
    this.#coming = null;
  }

  /** Whether what is drawn will change by itself. */
  get isEasing() {
    return this.#ahead.isEasing;
  }

  /**
   * Draw a look of the newest frame; returns what is drawn: the original where there is no field for it.
   * @param {HTMLCanvasElement} canvas
   * @param {Look} look
   * @param {number} strength
   * @param {Controls | null} controls of the look that are wanted, which the model may not have heard of yet; null: its own
   * @returns {{ look: Look, isAhead: boolean }}
   */
  draw(canvas, look, strength, controls = null) {
    const [frame, light] = [this.#frame, this.#lights?.view];
    if (frame === null) return { look: null, isAhead: false };
    const made = this.#fields.find((each) => each.look === look);
    fit(canvas, frame.width, frame.height);
    const context = pen(canvas, { alpha: false });
    if (!light || light.isLost || (!made && !this.#exposedEv)) {
      context.drawImage(frame, 0, 0);
      return { look: null, isAhead: false };
    }
    const { field, isAhead } = made ? this.#ahead.of(made, controls) : { field: null, isAhead: false };
    light.field(field, strength);
    light.draw();
    context.drawImage(light.canvas, 0, 0);
    return { look: field && look, isAhead };
  }

  /**
   * The looks' tiles, of the newest frame.
   * @param {ViewMessage["header"]} header
   * @returns {Tile[]}
   */
  tiles({ frame_id, age_ms, tile_ages }) {
    const [frame, light] = [this.#frame, this.#lights?.tile];
    if (frame === null || !light || light.isLost) return [];
    const width = Math.min(TILE_WIDTH_PX, frame.width);
    const height = Math.max(1, Math.round((frame.height * width) / frame.width));
    fit(this.#small, width, height);
    const context = pen(this.#small, { alpha: false });
    context.imageSmoothingQuality = "medium"; // else one pixel in three is looked at
    context.drawImage(frame, 0, 0, width, height);
    light.frame(this.#small, this.#exposedEv);
    /** @param {import("./light.js").Field | null} field */
    const paints = (field) => (/** @type {HTMLCanvasElement} */ canvas) => {
      light.field(field, 1);
      light.draw();
      painter(light.canvas)(canvas);
    };
    const original = { look: null, frame_id, age_ms, paint: this.#exposedEv ? paints(null) : painter(this.#small) };
    return [original, ...this.#fields.map((field) => ({
      look: field.look,
      frame_id,
      age_ms: tile_ages[field.look],
      paint: paints(field),
    }))];
  }
}

/**
 * What copies a picture onto a canvas.
 * @param {HTMLCanvasElement | OffscreenCanvas} picture
 */
function painter(picture) {
  return (/** @type {HTMLCanvasElement} */ canvas) => {
    fit(canvas, picture.width, picture.height);
    pen(canvas, { alpha: false }).drawImage(picture, 0, 0);
  };
}
