// Smooths the noise that a look brightens: light/denoise.py's `denoise`, where the reasons are, in 8 bits.

import { pen } from "../static/dom.js";
import { evOf } from "../static/light.js";

/** @import { Field } from "../static/light.js" */
/** @typedef {{ width: number, height: number, data: Float32Array }} Plane codes of 255 */

const [BLOCK_PX, MOST_BLOCKS] = [16, 128];
const LIFT_EV = [0.5, 2];
const LEAST_NOISE = 1.5;
const CHROMA_TO_LUMA = 1.07;
const LUMA_EDGE = 1.8;
const GRAIN = 0.3;
const CHROMA_EDGE = 4;
const STEP = 1.1;
const STEPS_SEEN = [1.5, 4];
const [STRIP_ROWS, HALO_PX] = [128, 12]; // the halo is that of two boxes of each filter
const [NOISE_PX, BLOCKS_PX] = [2, 4];

/**
 * Calm a rendered picture where its field lifted noise; nothing is drawn where there is nothing to do.
 * @param {OffscreenCanvas} made
 * @param {CanvasImageSource} source what it was rendered from
 * @param {Field} field
 * @param {number} strength 0..1
 */
export function denoise(made, source, field, strength) {
  const { width, height } = made;
  if (width < 2) return;
  const [noise, steps] = lifted(made, source, field, strength);
  if ([...noise.data, ...steps.data].every((value) => value < LEAST_NOISE)) return;
  const lines = colourByLuminance(made);
  const context = pen(made);
  const before = context.getImageData(0, 0, width, height).data;
  for (let first = 0; first < height; first += STRIP_ROWS) {
    const [top, bottom] = [Math.max(0, first - HALO_PX), Math.min(height, first + STRIP_ROWS + HALO_PX)];
    const strip = new ImageData(before.slice(4 * width * top, 4 * width * bottom), width);
    const guides = [noise, steps, ...lines].map((plane) => enlarged(plane, top, bottom, width, height));
    calm(strip, guides);
    context.putImageData(strip, 0, top, 0, first - top, width, STRIP_ROWS);
  }
}

/**
 * @param {ImageData} strip is changed
 * @param {Float32Array[]} guides of each pixel: noise, steps, and the lines of both colours
 */
function calm({ data, width, height }, [sigma, step, slopeRed, offsetRed, slopeBlue, offsetBlue]) {
  const [luma, red, blue] = split(data);
  const quiet = calmed(luma, sigma.map((value) => CHROMA_TO_LUMA * value), width, height, NOISE_PX);
  const still = step.some((value) => value > 0) ? calmed(quiet, step, width, height, BLOCKS_PX) : quiet;
  for (let i = 0; i < luma.length; i++) {
    const most = Math.max(sigma[i], step[i]) ** 2;
    const share = most / (most + LEAST_NOISE ** 2);
    const dLuma = (1 - GRAIN) * (quiet[i] - luma[i]) + still[i] - quiet[i];
    const dRed = share * (slopeRed[i] * still[i] + offsetRed[i] - red[i]);
    const dBlue = share * (slopeBlue[i] * still[i] + offsetBlue[i] - blue[i]);
    data[4 * i] += dLuma + 1.403 * dRed; // BT.601, as OpenCV rounds it
    data[4 * i + 1] += dLuma - 0.714 * dRed - 0.344 * dBlue;
    data[4 * i + 2] += dLuma + 1.773 * dBlue;
  }
}

/**
 * Noise and code steps that were lifted, by block: `_lifted`.
 * @param {OffscreenCanvas} made
 * @param {CanvasImageSource} source
 * @param {Field} field
 * @param {number} strength
 * @returns {Plane[]}
 */
function lifted(made, source, field, strength) {
  const blockPx = Math.max(BLOCK_PX, Math.floor(Math.max(made.width, made.height) / MOST_BLOCKS));
  const [width, height] = [made.width, made.height].map((side) => Math.max(1, Math.floor(side / blockPx)));
  const small = shrunk(source, width, height).data;
  const share = new Float32Array(width * height);
  const steps = new Float32Array(width * height);
  for (let i = 0; i < share.length; i++) {
    const codes = [0, 1, 2].map((channel) => small[4 * i + channel]);
    const ev = strength * gainEv(field, codes.map(lightOf), ((i % width) + 0.5) / width, (Math.floor(i / width) + 0.5) / height);
    share[i] = ramp(ev, LIFT_EV);
    const [darker, brighter] = [0, 1].map((more) => codeOf(lightOf((codes[0] + codes[1] + codes[2]) / 3 + more) * 2 ** ev));
    steps[i] = STEP * (brighter - darker) * ramp(brighter - darker, STEPS_SEEN) * share[i];
  }
  const least = eroded(chromaNoise(made, blockPx, width, height), width, height);
  const sigma = mean(mean(least, width, height, 1), width, height, 1); // near to a Gaussian of one block
  const noise = sigma.map((value, i) => value * share[i] * ramp(value, [LEAST_NOISE / 2, LEAST_NOISE]));
  return [noise, steps].map((data) => ({ width, height, data }));
}

/**
 * Local lines from luminance to Cr and Cb, at a quarter or half of the size: slope and offset of each.
 * @param {OffscreenCanvas} made
 * @returns {Plane[]}
 */
function colourByLuminance(made) {
  const scale = Math.max(made.width, made.height) >= 1000 ? 4 : 2;
  const [width, height] = [made.width, made.height].map((side) => Math.max(1, Math.floor(side / scale)));
  const [luma, ...colours] = split(shrunk(made, width, height).data);
  const blurred = (/** @type {Float32Array} */ data) => mean(data, width, height, 3);
  const meanLuma = blurred(luma);
  const squares = blurred(luma.map((value) => value * value));
  return colours.flatMap((colour) => {
    const meanColour = blurred(colour);
    const products = blurred(colour.map((value, i) => value * luma[i]));
    const slope = products.map((value, i) => (value - meanLuma[i] * meanColour[i]) / (squares[i] - meanLuma[i] ** 2 + CHROMA_EDGE ** 2));
    const offset = meanColour.map((value, i) => value - slope[i] * meanLuma[i]);
    return [slope, offset].map((data) => ({ width, height, data: blurred(data) }));
  });
}

/**
 * The standard deviation of fine colour, by block: neighbours in one row of each differ by noise.
 * @param {OffscreenCanvas} made
 * @param {number} blockPx
 * @param {number} width in blocks
 * @param {number} height
 */
function chromaNoise(made, blockPx, width, height) {
  const found = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.min(made.height - 1, y * blockPx + (blockPx >> 1));
    const [, ...colours] = split(pen(made).getImageData(0, row, made.width, 1).data);
    for (let x = 0; x < width; x++) {
      const [from, to] = [x, x + 1].map((edge) => Math.floor((edge * (made.width - 1)) / width));
      let sum = 0;
      for (const colour of colours) for (let i = from; i < to; i++) sum += Math.abs(colour[i + 1] - colour[i]);
      found[y * width + x] = ((sum / 2 / (to - from)) * Math.sqrt(Math.PI)) / 2;
    }
  }
  return found;
}

/**
 * The least of each block and its neighbours: a coloured edge is not noise.
 * @param {Float32Array} data
 * @param {number} width
 * @param {number} height
 */
function eroded(data, width, height) {
  const least = (/** @type {Float32Array} */ of, /** @type {number} */ step, /** @type {(i: number) => number} */ place, /** @type {number} */ n) =>
    of.map((value, i) => Math.min(value, place(i) ? of[i - step] : value, place(i) < n - 1 ? of[i + step] : value));
  return least(least(data, 1, (i) => i % width, width), width, (i) => Math.floor(i / width), height);
}

/**
 * Luminance, smoothed where it varies no more than its noise: a guided filter of itself.
 * @param {Float32Array} luma
 * @param {Float32Array} sigma
 * @param {number} width
 * @param {number} height
 * @param {number} radius
 */
function calmed(luma, sigma, width, height, radius) {
  const middle = mean(luma, width, height, radius);
  const squares = mean(luma.map((value) => value * value), width, height, radius);
  const a = squares.map((value, i) => {
    const variance = Math.max(0, value - middle[i] * middle[i]);
    return variance / (variance + LUMA_EDGE ** 2 * sigma[i] * sigma[i] + 1e-6);
  });
  const rest = mean(a.map((value, i) => (1 - value) * middle[i]), width, height, radius);
  return mean(a, width, height, radius).map((value, i) => value * luma[i] + rest[i]);
}

/**
 * Means of squares around each place; beyond the edges the picture is mirrored.
 * @param {Float32Array} data
 * @param {number} width
 * @param {number} height
 * @param {number} radius
 */
const mean = (data, width, height, radius) => along(along(data, width, height, 1, width, radius), height, width, width, 1, radius);

/**
 * Means along lines of `n` places that lie `step` apart.
 * @param {Float32Array} data
 * @param {number} n
 * @param {number} nLines
 * @param {number} step
 * @param {number} lineStep
 * @param {number} radius
 */
function along(data, n, nLines, step, lineStep, radius) {
  const out = new Float32Array(data.length);
  const places = Int32Array.from({ length: n + 2 * radius + 1 }, (_, i) => step * mirrored(i - radius, n));
  for (let line = 0; line < nLines; line++) {
    const start = line * lineStep;
    let sum = 0;
    for (let i = 0; i < 2 * radius; i++) sum += data[start + places[i]];
    for (let i = 0; i < n; i++) {
      sum += data[start + places[i + 2 * radius]];
      out[start + step * i] = sum / (2 * radius + 1);
      sum -= data[start + places[i]];
    }
  }
  return out;
}

/**
 * @param {number} i
 * @param {number} n
 */
const mirrored = (i, n) => Math.min(n - 1, Math.max(0, i < 0 ? -i : i >= n ? 2 * n - 2 - i : i));

/**
 * Rows top..bottom of a small plane, interpolated up to (width, height).
 * @param {Plane} plane
 * @param {number} top
 * @param {number} bottom
 * @param {number} width
 * @param {number} height
 */
function enlarged(plane, top, bottom, width, height) {
  const out = new Float32Array(width * (bottom - top));
  const columns = Array.from({ length: width }, (_, x) => corners(((x + 0.5) * plane.width) / width - 0.5, plane.width));
  for (let y = top; y < bottom; y++) {
    const [upper, lower, down] = corners(((y + 0.5) * plane.height) / height - 0.5, plane.height);
    const row = Float32Array.from({ length: plane.width }, (_, x) => {
      const above = plane.data[upper * plane.width + x];
      return above + down * (plane.data[lower * plane.width + x] - above);
    });
    for (let x = 0; x < width; x++) {
      const [left, right, across] = columns[x];
      out[(y - top) * width + x] = row[left] + across * (row[right] - row[left]);
    }
  }
  return out;
}

/**
 * The two cells around a place, and how far it is from the first.
 * @param {number} place
 * @param {number} n
 */
function corners(place, n) {
  const inside = Math.min(n - 1, Math.max(0, place));
  const low = Math.floor(inside);
  return [low, Math.min(n - 1, low + 1), inside - low];
}

/**
 * The mean gain of a field at a place: light/field.py's `slice_field`.
 * @param {Field} field
 * @param {number[]} light linear
 * @param {number} x 0..1
 * @param {number} y
 */
function gainEv({ grid }, light, x, y) {
  const guide = Math.log2(1 + 1023 * (0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2])) / 10;
  const [[y0, y1, down], [x0, x1, across], [z0, z1, deep]] = [corners(16 * y - 0.5, 16), corners(16 * x - 0.5, 16), corners(8 * guide - 0.5, 8)];
  let sum = 0;
  for (const [cy, wy] of [[y0, 1 - down], [y1, down]]) {
    for (const [cx, wx] of [[x0, 1 - across], [x1, across]]) {
      for (const [cz, wz] of [[z0, 1 - deep], [z1, deep]]) {
        const at = ((cy * 16 + cx) * 8 + cz) * 4;
        sum += (wy * wx * wz * (evOf(grid, at) + evOf(grid, at + 1) + evOf(grid, at + 2))) / 3;
      }
    }
  }
  return sum;
}

/**
 * @param {CanvasImageSource} picture
 * @param {number} width
 * @param {number} height
 */
function shrunk(picture, width, height) {
  const context = pen(new OffscreenCanvas(width, height), { alpha: false, willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/**
 * Luminance, Cr and Cb of BT.601.
 * @param {ImageDataArray} data
 */
function split(data) {
  const [luma, red, blue] = [0, 1, 2].map(() => new Float32Array(data.length / 4));
  for (let i = 0; i < luma.length; i++) {
    luma[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    red[i] = 0.713 * (data[4 * i] - luma[i]);
    blue[i] = 0.564 * (data[4 * i + 2] - luma[i]);
  }
  return [luma, red, blue];
}

/**
 * @param {number} value
 * @param {number[]} ends where it is 0 and 1
 */
const ramp = (value, [none, full]) => Math.min(1, Math.max(0, (value - none) / (full - none)));

/** @param {number} code of 255; IEC 61966-2-1 */
export const lightOf = (code) => (code > 0.04045 * 255 ? ((code / 255 + 0.055) / 1.055) ** 2.4 : code / 255 / 12.92);

/** @param {number} light */
const codeOf = (light) => 255 * (light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : 12.92 * light);
