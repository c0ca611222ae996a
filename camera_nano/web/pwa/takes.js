// Takes: different answers of the model to one look of one frame, to pick from. What live/takes.py does.

import { fit, make, pen } from "../static/dom.js";
import { Light } from "../static/light.js";
import { constants } from "./constants.js";

/**
 * @import { EditField } from "./engine.js"
 * @import { Session } from "./session.js"
 */

const N_TAKES = 4;
const N_SEEDS = 8; // that are tried: those are offered that differ most
const WIDTH_PX = 640;
const SAMPLE_STEP = 4;
const DARKEST = 2 ** -10; // of what counts as exposure: blacks that are a little less black look the same
const QUALITY = 0.85;

/** @type {Light | null} one for all: browsers take away contexts where there are many */
let light = null;

/**
 * Four answers, darker ones first, as the server tells them.
 * @param {Session} session
 * @param {{ frameId: number, look: string, strength: number }} asked
 */
export async function takesOf(session, { frameId, look, strength }) {
  const frame = session.frames.get(frameId);
  if (frame === null) throw new Error("there is no picture yet");
  const wanted = session.palette.toned(look);
  const small = make("canvas");
  const scale = Math.min(1, WIDTH_PX / frame.bitmap.width);
  fit(small, Math.round(frame.bitmap.width * scale), Math.round(frame.bitmap.height * scale));
  pen(small, { alpha: false }).drawImage(frame.bitmap, 0, 0, small.width, small.height);
  const others = Array.from({ length: Math.min(N_SEEDS, constants.n_seeds) }, (_, seed) => seed).filter((seed) => seed !== wanted.seed);
  const seeds = [wanted.seed, ...others].slice(0, N_SEEDS);
  const { fields } = await session.ask(frame, seeds.map((seed) => ({ ...wanted, seed })), "");
  const drawing = (light ??= new Light(make("canvas")));
  const pictures = fields.map((field) => painted(drawing, small, field, strength));
  const evs = pictures.map(exposureEv);
  const chosen = spread(evs).sort((a, b) => evs[a] - evs[b]);
  const jpegs = await Promise.all(chosen.map((i) => pictures[i].convertToBlob({ type: "image/jpeg", quality: QUALITY })));
  let offset = 0;
  const takes = chosen.map((i, n) => {
    const place = [offset, jpegs[n].size];
    offset += jpegs[n].size;
    return { seed: seeds[i], ev: evs[i] - evs[0], is_now: i === 0, jpeg: place };
  });
  return packed({ takes }, jpegs);
}

/**
 * @param {Light} drawing
 * @param {HTMLCanvasElement} frame
 * @param {EditField} field
 * @param {number} strength
 */
function painted(drawing, frame, field, strength) {
  drawing.frame(frame);
  drawing.field(field, strength);
  drawing.draw();
  const picture = new OffscreenCanvas(frame.width, frame.height);
  picture.getContext("2d", { alpha: false, willReadFrequently: true })?.drawImage(drawing.canvas, 0, 0);
  return picture;
}

/**
 * The mean log luminance, in stops.
 * @param {OffscreenCanvas} picture
 */
function exposureEv(picture) {
  const { width, height } = picture;
  const data = picture.getContext("2d")?.getImageData(0, 0, width, height).data ?? [];
  let [sum, n] = [0, 0];
  for (let y = 0; y < height; y += SAMPLE_STEP) {
    for (let x = 0; x < width; x += SAMPLE_STEP, n++) {
      const i = 4 * (y * width + x);
      sum += Math.log2(0.2126 * lightOf(data[i]) + 0.7152 * lightOf(data[i + 1]) + 0.0722 * lightOf(data[i + 2]) + DARKEST);
    }
  }
  return sum / n;
}

/** @param {number} code of 255; IEC 61966-2-1 */
const lightOf = (code) => (code > 0.04045 * 255 ? ((code / 255 + 0.055) / 1.055) ** 2.4 : code / 255 / 12.92);

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

/**
 * As a view: the length of the header, the header, the JPEGs.
 * @param {object} header
 * @param {Blob[]} jpegs
 */
function packed(header, jpegs) {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, text.length);
  return new Response(new Blob([length.buffer, text, ...jpegs]));
}
