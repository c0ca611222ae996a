// The blocks of JPEG in a picture: where they lie, and their edges spread; of light/denoise.py, where the reasons are.

import { pen } from "../static/dom.js";
import { shrunk } from "./planes.js";

/** @import { Plane } from "./planes.js" */

export const GRID_PX = 8;
const GRID_STEPS = 4;
const [GRID_SEEN, GRID_CODES, GRID_LINES, GRID_LEAST] = [1.1, 3, 256, 10_000];
const SPREAD = [1, 3, 5, 7, -7, -5, -3, -1].map((share) => share / 16);

/**
 * The first column and the first row (0..7) of the grid that JPEG left where `steps` shows: `_grid_line`.
 * @param {CanvasImageSource} source
 * @param {Plane} steps
 * @param {number} width of the source
 * @param {number} height
 */
export function gridLines(source, steps, width, height) {
  const canvas = shrunk(source, width, height);
  return [[width, height], [height, width]].map(([length, nLines], isDown) => {
    const nBlocks = Math.floor(length / GRID_PX);
    const found = new Float64Array(GRID_PX);
    let n = 0;
    for (let line = 0; line < nLines; line += Math.max(1, Math.floor(nLines / GRID_LINES))) {
      const { data } = isDown ? pen(canvas).getImageData(line, 0, 1, height) : pen(canvas).getImageData(0, line, width, 1);
      for (let i = GRID_PX; i < GRID_PX * nBlocks; i++) {
        const [x, y] = isDown ? [line, i] : [i, line];
        const block = Math.floor((y * steps.height) / height) * steps.width + Math.floor((x * steps.width) / width);
        if (!steps.data[block]) continue;
        const step = [0, 1, 2].reduce((sum, channel) => sum + data[4 * i + channel] - data[4 * i - 4 + channel], 0);
        found[i % GRID_PX] += Math.min(Math.abs(step), 3 * GRID_CODES);
        n += 1;
      }
    }
    const most = Math.max(...found);
    const others = found.reduce((sum, value) => sum + value, -most);
    return n >= GRID_LEAST && (GRID_PX - 1) * most > GRID_SEEN * others ? found.indexOf(most) : null;
  });
}

/**
 * Spreads, in place, the jump at `line` and every eighth place from there over eight places: `_spread_jumps`.
 * @param {Float32Array} luma
 * @param {Float32Array} step
 * @param {number} line
 * @param {number} n places across the lines,
 * @param {number} apart which lie so far apart
 * @param {number} nAlong places along a line
 * @param {number} alongApart
 */
export function spreadJumps(luma, step, line, n, apart, nAlong, alongApart) {
  const first = (((line - GRID_PX / 2) % GRID_PX) + GRID_PX) % GRID_PX;
  for (let at = first; at + GRID_PX <= n; at += GRID_PX) {
    for (let i = 0; i < nAlong; i++) {
      const start = at * apart + i * alongApart;
      const [before, last, next, after] = [2, 3, 4, 5].map((place) => luma[start + place * apart]);
      const jump = 1.5 * (next - last) - 0.5 * (after - before);
      const most = (GRID_STEPS * step[start + 4 * apart]) ** 2;
      const own = (jump * most) / (most + jump * jump + 1e-6);
      for (let place = 0; place < GRID_PX; place++) luma[start + place * apart] += SPREAD[place] * own;
    }
  }
}
