// Planes of numbers as large as a picture: made of it, averaged, enlarged; what OpenCV does for light/denoise.py.

import { pen } from "../static/dom.js";

/** @typedef {{ width: number, height: number, data: Float32Array }} Plane codes of 255 */

/**
 * @param {CanvasImageSource} picture
 * @param {number} width
 * @param {number} height
 */
export function shrunk(picture, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = pen(canvas, { alpha: false, willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return canvas;
}

/** @param {OffscreenCanvas} canvas */
export const dataOf = (canvas) => pen(canvas).getImageData(0, 0, canvas.width, canvas.height).data;

/**
 * Luminance, Cr and Cb of BT.601.
 * @param {ImageDataArray} data
 */
export function split(data) {
  const [luma, red, blue] = [0, 1, 2].map(() => new Float32Array(data.length / 4));
  for (let i = 0; i < luma.length; i++) {
    luma[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    red[i] = 0.713 * (data[4 * i] - luma[i]);
    blue[i] = 0.564 * (data[4 * i + 2] - luma[i]);
  }
  return [luma, red, blue];
}

/**
 * Means of squares around each place; beyond the edges the picture is mirrored.
 * @param {Float32Array} data
 * @param {number} width
 * @param {number} height
 * @param {number} radius
 */
export const mean = (data, width, height, radius) => along(along(data, width, height, 1, width, radius), height, width, width, 1, radius);

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
export function enlarged(plane, top, bottom, width, height) {
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
export function corners(place, n) {
  const inside = Math.min(n - 1, Math.max(0, place));
  const low = Math.floor(inside);
  return [low, Math.min(n - 1, low + 1), inside - low];
}
