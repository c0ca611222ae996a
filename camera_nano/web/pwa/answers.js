// Of several answers of the model to one look those that differ most, drawn: live/takes.py.

import { pen } from "../static/dom.js";
import { Light } from "../static/light.js";
import { lightOf } from "./denoise.js";

/** @import { EditField } from "./engine.js" */

const N_TAKES = 4;
const SAMPLE_STEP = 4;
const DARKEST = 2 ** -10; // of what counts as exposure: blacks that are a little less black look the same
const QUALITY = 0.85;

/** @type {Light | null} one for all: browsers take away contexts where there are many */
let light = null;

/**
 * Four answers, darker ones first, the first of all among them.
 * @param {object} asked
 * @param {ImageBitmap} asked.picture the frame, small; it is closed
 * @param {EditField[]} asked.fields
 * @param {number} asked.strength
 * @returns {Promise<{ index: number, ev: number, jpeg: Blob }[]>} which of the fields, and how bright beside the first
 */
export async function differing({ picture, fields, strength }) {
  const drawing = (light ??= new Light(new OffscreenCanvas(1, 1)));
  const pictures = fields.map((field) => painted(drawing, picture, field, strength));
  picture.close();
  const evs = pictures.map(exposureEv);
  const chosen = spread(evs).sort((a, b) => evs[a] - evs[b]);
  const jpegs = await Promise.all(chosen.map((i) => pictures[i].convertToBlob({ type: "image/jpeg", quality: QUALITY })));
  return chosen.map((index, n) => ({ index, ev: evs[index] - evs[0], jpeg: jpegs[n] }));
}

/**
 * @param {Light} drawing
 * @param {ImageBitmap} frame
 * @param {EditField} field
 * @param {number} strength
 */
function painted(drawing, frame, field, strength) {
  drawing.frame(frame);
  drawing.field(field, strength);
  drawing.draw();
  const picture = new OffscreenCanvas(frame.width, frame.height);
  pen(picture, { alpha: false, willReadFrequently: true }).drawImage(drawing.canvas, 0, 0);
  return picture;
}

/**
 * The mean log luminance, in stops.
 * @param {OffscreenCanvas} picture
 */
function exposureEv(picture) {
  const { width, height } = picture;
  const { data } = pen(picture).getImageData(0, 0, width, height);
  let [sum, n] = [0, 0];
  for (let y = 0; y < height; y += SAMPLE_STEP) {
    for (let x = 0; x < width; x += SAMPLE_STEP, n++) {
      const i = 4 * (y * width + x);
      sum += Math.log2(0.2126 * lightOf(data[i]) + 0.7152 * lightOf(data[i + 1]) + 0.0722 * lightOf(data[i + 2]) + DARKEST);
    }
  }
  return sum / n;
}

/**
 * The places of the first value and of three others: each time the one furthest from those taken.
 * @param {number[]} values
 */
function spread(values) {
  const taken = [0];
  while (taken.length < Math.min(N_TAKES, values.length)) {
    const away = values.map((value) => Math.min(...taken.map((i) => Math.abs(value - values[i]))));
    const left = values.map((_, i) => i).filter((i) => !taken.includes(i));
    taken.push(left.reduce((best, i) => (away[i] > away[best] ? i : best)));
  }
  return taken;
}
