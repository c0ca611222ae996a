// A frame as the model sees it: the whole picture, 64 x 64. What light/condition.py does, with the same rounding.

export const THUMBNAIL_PX = 64;
const DARK = 16; // mean code value
const SAMPLE_STEP = 16;

/** @typedef {{ width: number, height: number, top: number, data: Uint16Array }} Codes RGB, each from 0 to `top` */

/**
 * RGBA pixels of 8 bits, of any size -> code values 0..1, channel after channel, (3, 64, 64).
 *
 * Averaged by area. In a dark frame areas differ by less than one code, so their means are kept in 16 bits.
 * @param {Uint8ClampedArray | Uint8Array} rgba
 * @param {number} width
 * @param {number} height
 */
export function condition(rgba, width, height) {
  let codes = withoutAlpha(rgba, width, height);
  let isFine = isDark(codes);
  while (Math.min(codes.width, codes.height) >= 8 * THUMBNAIL_PX) {
    codes = halved(isFine ? in16Bits(codes) : codes);
    isFine = true; // only the first halving, the largest, may round to 8 bits
  }
  return squeezed(codes);
}

/**
 * @param {Uint8ClampedArray | Uint8Array} rgba
 * @param {number} width
 * @param {number} height
 * @returns {Codes}
 */
function withoutAlpha(rgba, width, height) {
  const data = new Uint16Array(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, top: 255, data };
}

/** @param {Codes} codes of 8 bits */
function isDark({ width, height, data }) {
  let [sum, n] = [0, 0];
  for (let y = 0; y < height; y += SAMPLE_STEP) {
    for (let x = 0; x < width; x += SAMPLE_STEP, n += 3) {
      const i = 3 * (y * width + x);
      sum += data[i] + data[i + 1] + data[i + 2];
    }
  }
  return sum / n < DARK;
}

/**
 * @param {Codes} codes
 * @returns {Codes}
 */
function in16Bits(codes) {
  return codes.top === 65535 ? codes : { ...codes, top: 65535, data: codes.data.map((code) => 257 * code) };
}

/**
 * The mean of every 2 x 2 pixels; odd edges are dropped.
 * @param {Codes} codes
 * @returns {Codes}
 */
function halved({ width: wide, height: tall, top, data }) {
  const [width, height] = [wide >> 1, tall >> 1];
  const out = new Uint16Array(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, to++) {
        const i = 3 * (2 * y * wide + 2 * x) + c;
        const below = i + 3 * wide;
        out[to] = (data[i] + data[i + 3] + data[below] + data[below + 3] + 2) >> 2;
      }
    }
  }
  return { width, height, top, data: out };
}

/**
 * What each of 64 cells covers of a row of n pixels: the first pixel, and the share of it and of each one after it.
 * @param {number} n
 */
function shares(n) {
  const size = n / THUMBNAIL_PX;
  return Array.from({ length: THUMBNAIL_PX }, (_, cell) => {
    const [start, end] = [cell * size, (cell + 1) * size];
    const first = Math.floor(start + 1e-6);
    const last = Math.max(first + 1, Math.min(n, Math.ceil(end - 1e-6)));
    const parts = Array.from({ length: last - first }, (__, i) => Math.min(end, first + i + 1) - Math.max(start, first + i));
    return { first, parts: parts.map((part) => part / size) };
  });
}

/** @param {Codes} codes */
function squeezed({ width, height, top, data }) {
  const rows = new Float32Array(3 * THUMBNAIL_PX * height); // squeezed across
  const across = shares(width);
  for (let y = 0, to = 0; y < height; y++) {
    for (const { first, parts } of across) {
      for (let c = 0; c < 3; c++, to++) {
        for (let i = 0; i < parts.length; i++) rows[to] += (parts[i] * data[3 * (y * width + first + i) + c]) / top;
      }
    }
  }
  const out = new Float32Array(3 * THUMBNAIL_PX ** 2);
  shares(height).forEach(({ first, parts }, y) => {
    for (let x = 0; x < THUMBNAIL_PX; x++) {
      for (let c = 0; c < 3; c++) {
        const to = (c * THUMBNAIL_PX + y) * THUMBNAIL_PX + x;
        for (let i = 0; i < parts.length; i++) out[to] += parts[i] * rows[3 * ((first + i) * THUMBNAIL_PX + x) + c];
        out[to] = Math.min(1, out[to]);
      }
    }
  });
  return out;
}
