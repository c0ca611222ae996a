// Smooths the noise that a look brightens: light/denoise.py's `denoise`, where the reasons are, in 8 bits.

import { pen } from "../static/dom.js";
import { evOf } from "../static/light.js";
import { GRID_PX, gridLines, spreadJumps } from "./blocks.js";
import { corners, dataOf, enlarged, mean, shrunk, split } from "./planes.js";

/** @import { Field } from "../static/light.js" */
/** @import { Plane } from "./planes.js" */

const [BLOCK_PX, MOST_BLOCKS] = [16, 128];
const LIFT_EV = [0.5, 2];
const LEAST_NOISE = 1.5;
const CHROMA_TO_LUMA = 1.07;
const LUMA_EDGE = 1.8;
const GRAIN = 0.3;
const CHROMA_EDGE = 4;
const CHROMA_STEPS = 3;
const STEP = 1.1;
const STEEP_CODES = 4;
const STEPS_SEEN = [1.5, 4];
const [NOISE_PX, BLOCKS_PX] = [2, 4];
const STRIP_ROWS = 128;
const HALO_PX = 2 * (NOISE_PX + BLOCKS_PX) + GRID_PX; // each of the two filters is two boxes

/**
 * Calm a rendered picture where its field lifted noise; nothing is drawn where there is nothing to do.
 * @param {OffscreenCanvas} made
 * @param {CanvasImageSource} source what it was rendered from
 * @param {Field} field
 * @param {number} strength 0..1
 * @param {(picture: OffscreenCanvas) => Promise<OffscreenCanvas>} painted a picture through that field, at that strength
 */
export async function denoise(made, source, field, strength, painted) {
  const { width, height } = made;
  if (width < 2) return;
  const [noise, steps] = await lifted(made, source, field, strength, painted);
  if ([...noise.data, ...steps.data].every((value) => value < LEAST_NOISE)) return;
  const lines = colourByLuminance(made, steps);
  const [column, row] = gridLines(source, steps, width, height);
  const context = pen(made);
  const before = context.getImageData(0, 0, width, height).data;
  for (let first = 0; first < height; first += STRIP_ROWS) {
    const [top, bottom] = [Math.max(0, first - HALO_PX), Math.min(height, first + STRIP_ROWS + HALO_PX)];
    const strip = new ImageData(before.slice(4 * width * top, 4 * width * bottom), width);
    const guides = [noise, steps, ...lines].map((plane) => enlarged(plane, top, bottom, width, height));
    calm(strip, guides, row === null ? null : row - top, column);
    context.putImageData(strip, 0, top, 0, first - top, width, STRIP_ROWS);
  }
}

/**
 * @param {ImageData} strip is changed
 * @param {Float32Array[]} guides of each pixel: noise, steps, and the lines of both colours
 * @param {number | null} row at which a block of JPEG begins
 * @param {number | null} column
 */
function calm({ data, width, height }, [sigma, step, slopeRed, offsetRed, slopeBlue, offsetBlue], row, column) {
  const [luma, red, blue] = split(data);
  const whole = luma.slice();
  if (row !== null) spreadJumps(whole, step, row, height, width, width, 1);
  if (column !== null) spreadJumps(whole, step, column, width, 1, height, width);
  const quiet = calmed(whole, sigma.map((value) => CHROMA_TO_LUMA * value), width, height, NOISE_PX);
  const still = step.some((value) => value > 0) ? calmed(quiet, step, width, height, BLOCKS_PX) : quiet;
  for (let i = 0; i < luma.length; i++) {
    const most = Math.max(sigma[i], step[i]) ** 2;
    const share = most / (most + LEAST_NOISE ** 2);
    const dLuma = still[i] - luma[i] + GRAIN * (whole[i] - quiet[i]);
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
 * @param {(picture: OffscreenCanvas) => Promise<OffscreenCanvas>} painted
 * @returns {Promise<Plane[]>}
 */
async function lifted(made, source, field, strength, painted) {
  const blockPx = Math.max(BLOCK_PX, Math.floor(Math.max(made.width, made.height) / MOST_BLOCKS));
  const [width, height] = [made.width, made.height].map((side) => Math.max(1, Math.floor(side / blockPx)));
  const smaller = shrunk(source, width, height);
  const small = dataOf(smaller);
  const share = new Float32Array(width * height);
  const steep = wide(await codeSteps(smaller, painted), width, height);
  const steps = new Float32Array(width * height);
  for (let i = 0; i < share.length; i++) {
    const codes = [0, 1, 2].map((channel) => small[4 * i + channel]);
    const ev = strength * gainEv(field, codes.map(lightOf), ((i % width) + 0.5) / width, (Math.floor(i / width) + 0.5) / height);
    share[i] = ramp(ev, LIFT_EV);
    const [darker, brighter] = [0, 1].map((more) => codeOf(lightOf((codes[0] + codes[1] + codes[2]) / 3 + more) * 2 ** ev));
    steps[i] = share[i] * seen(brighter - darker) + (1 - share[i]) * steep[i];
  }
  const sigma = wide(chromaNoise(made, blockPx, width, height), width, height);
  const noise = sigma.map((value, i) => value * share[i] * ramp(value, [LEAST_NOISE / 2, LEAST_NOISE]));
  return [noise, steps].map((data) => ({ width, height, data }));
}

/**
 * What a difference of `STEP` codes became by the whole edit: the second half of `_steps`.
 * @param {OffscreenCanvas} picture is changed
 * @param {(picture: OffscreenCanvas) => Promise<OffscreenCanvas>} painted
 */
async function codeSteps(picture, painted) {
  const less = dataOf(await painted(picture));
  const context = pen(picture);
  context.globalCompositeOperation = "lighter";
  context.fillStyle = `rgb(${STEEP_CODES} ${STEEP_CODES} ${STEEP_CODES})`;
  context.fillRect(0, 0, picture.width, picture.height);
  const more = dataOf(await painted(picture));
  return new Float32Array(less.length / 4).map((_, i) => {
    const became = [0, 1, 2].reduce((sum, channel) => sum + more[4 * i + channel] - less[4 * i + channel], 0) / 3 / STEEP_CODES;
    return seen(became);
  });
}

/**
 * Local lines from luminance to Cr and Cb, at a quarter or half of the size: slope and offset of each.
 * @param {OffscreenCanvas} made
 * @param {Plane} steps
 * @returns {Plane[]}
 */
function colourByLuminance(made, steps) {
  const scale = Math.max(made.width, made.height) >= 1000 ? 4 : 2;
  const [width, height] = [made.width, made.height].map((side) => Math.max(1, Math.floor(side / scale)));
  const [luma, ...colours] = split(dataOf(shrunk(made, width, height)));
  const blurred = (/** @type {Float32Array} */ data) => mean(data, width, height, 3);
  const meanLuma = blurred(luma);
  const squares = blurred(luma.map((value) => value * value));
  const edge = enlarged(steps, 0, height, width, height).map((step) => Math.max(CHROMA_EDGE, CHROMA_STEPS * step));
  return colours.flatMap((colour) => {
    const meanColour = blurred(colour);
    const products = blurred(colour.map((value, i) => value * luma[i]));
    const slope = products.map((value, i) => (value - meanLuma[i] * meanColour[i]) / (squares[i] - meanLuma[i] ** 2 + edge[i] ** 2));
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
 * What is found in a block and all around it, without hard edges: `_wide`.
 * @param {Float32Array} data
 * @param {number} width
 * @param {number} height
 */
function wide(data, width, height) {
  const least = (/** @type {Float32Array} */ of, /** @type {number} */ step, /** @type {(i: number) => number} */ place, /** @type {number} */ n) =>
    of.map((value, i) => Math.min(value, place(i) ? of[i - step] : value, place(i) < n - 1 ? of[i + step] : value));
  const around = least(least(data, 1, (i) => i % width, width), width, (i) => Math.floor(i / width), height);
  return mean(mean(around, width, height, 1), width, height, 1); // near to a Gaussian of one block
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
 * @param {number} value
 * @param {number[]} ends where it is 0 and 1
 */
const ramp = (value, [none, full]) => Math.min(1, Math.max(0, (value - none) / (full - none)));

/** @param {number} became codes that one code became */
const seen = (became) => STEP * became * ramp(became, STEPS_SEEN);

/** @param {number} code of 255; IEC 61966-2-1 */
export const lightOf = (code) => (code > 0.04045 * 255 ? ((code / 255 + 0.055) / 1.055) ** 2.4 : code / 255 / 12.92);

/** @param {number} light */
const codeOf = (light) => 255 * (light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : 12.92 * light);
