// A picture of one component as a baseline JPEG (ITU-T T.81). Canvases write three, of which libvips takes a gain map's for
// colours, so that it would show other light.

import { joined, struct } from "./bytes.js";

const SIDE = 8; // of a block
// T.81, table K.1, in rows
const STEPS = [
  [16, 11, 10, 16, 24, 40, 51, 61],
  [12, 12, 14, 19, 26, 58, 60, 55],
  [14, 13, 16, 24, 40, 57, 69, 56],
  [14, 17, 22, 29, 51, 87, 80, 62],
  [18, 22, 37, 56, 68, 109, 103, 77],
  [24, 35, 55, 64, 81, 104, 113, 92],
  [49, 64, 78, 87, 103, 121, 120, 101],
  [72, 92, 95, 98, 112, 100, 103, 99],
].flat();
// T.81, tables K.3 and K.5: how many codes there are of each length from 1 bit on, and what they stand for
const DC = { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], symbols: bytesOf("000102030405060708090a0b") };
const AC = {
  counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
  symbols: bytesOf(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a" +
      "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999a" +
      "a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
  ),
};
const ZEROS_16 = 0xf0;
const END_OF_BLOCK = 0x00;

/** The cosines of the transform, [frequency][place] (T.81, A.3.3). */
const WAVES = Float32Array.from({ length: SIDE * SIDE }, (_, i) => {
  const [frequency, place] = [i >> 3, i & 7];
  return Math.cos(((2 * place + 1) * frequency * Math.PI) / 16) * (frequency === 0 ? Math.SQRT1_2 : 1) * 0.5;
});

/** Places of a block in the order of a scan (T.81, figure 5): by diagonals, up and down in turn. */
const ZIGZAG = Array.from({ length: SIDE * SIDE }, (_, place) => place).sort((a, b) => {
  const [p, q] = [(a >> 3) + (a & 7), (b >> 3) + (b & 7)];
  return p - q || (p % 2 ? a - b : b - a);
});

/**
 * @param {Uint8Array} codes in rows
 * @param {number} width
 * @param {number} height
 * @param {number} quality 1..100, as libjpeg scales it
 */
export function greyJpeg(codes, width, height, quality) {
  const percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  const steps = STEPS.map((step) => Math.min(255, Math.max(1, Math.floor((step * percent + 50) / 100))));
  const table = (/** @type {number} */ kind, /** @type {typeof DC} */ { counts, symbols }) =>
    joined(struct("BBHB", 0xff, 0xc4, 19 + symbols.length, kind), Uint8Array.from(counts), symbols);
  return joined(
    joined(struct("BBBBH", 0xff, 0xd8, 0xff, 0xe0, 16), "JFIF\0", struct("HBHHBB", 0x0101, 0, 1, 1, 0, 0)),
    joined(struct("BBHB", 0xff, 0xdb, 67, 0), Uint8Array.from(ZIGZAG, (place) => steps[place])),
    struct("BBHBHHBBBB", 0xff, 0xc0, 11, 8, height, width, 1, 1, 0x11, 0),
    table(0x00, DC),
    table(0x10, AC),
    struct("BBHBBBBBB", 0xff, 0xda, 8, 1, 1, 0, 0, 63, 0),
    scan(codes, width, height, steps),
    struct("BB", 0xff, 0xd9),
  );
}

/**
 * All blocks in the code of the tables (T.81, F.1.2).
 * @param {Uint8Array} codes
 * @param {number} width
 * @param {number} height
 * @param {number[]} steps
 */
function scan(codes, width, height, steps) {
  const bits = new Bits();
  const [dc, ac] = [words(DC), words(AC)];
  let before = 0;
  for (let top = 0; top < height; top += SIDE) {
    for (let left = 0; left < width; left += SIDE) {
      const waves = across(across(block(codes, width, height, left, top)));
      const levels = ZIGZAG.map((place) => Math.round(waves[place] / steps[place]));
      bits.number(dc, 0, levels[0] - before);
      before = levels[0];
      let [zeros, last] = [0, 63];
      while (last > 0 && levels[last] === 0) last -= 1;
      for (const level of levels.slice(1, last + 1)) {
        if (level === 0) zeros += 1;
        else {
          for (; zeros > 15; zeros -= 16) bits.put(ac[ZEROS_16]);
          bits.number(ac, zeros, level);
          zeros = 0;
        }
      }
      if (last < 63) bits.put(ac[END_OF_BLOCK]);
    }
  }
  return bits.end();
}

/**
 * A block around 0; beyond the edges the last pixel goes on.
 * @param {Uint8Array} codes
 * @param {number} width
 * @param {number} height
 * @param {number} left
 * @param {number} top
 */
function block(codes, width, height, left, top) {
  return Float32Array.from({ length: SIDE * SIDE }, (_, i) => {
    const [y, x] = [Math.min(height - 1, top + (i >> 3)), Math.min(width - 1, left + (i & 7))];
    return codes[y * width + x] - 128;
  });
}

/**
 * The transform of each row, as a column.
 * @param {Float32Array} rows
 */
function across(rows) {
  const out = new Float32Array(SIDE * SIDE);
  for (let row = 0; row < SIDE; row++) {
    for (let frequency = 0; frequency < SIDE; frequency++) {
      let sum = 0;
      for (let place = 0; place < SIDE; place++) sum += rows[row * SIDE + place] * WAVES[frequency * SIDE + place];
      out[frequency * SIDE + row] = sum;
    }
  }
  return out;
}

/** @typedef {[word: number, length: number]} Word in bits */

/**
 * The words of a table, by what they stand for (T.81, annex C).
 * @param {typeof DC} table
 */
function words({ counts, symbols }) {
  /** @type {Record<number, Word>} */
  const found = {};
  let [word, at] = [0, 0];
  counts.forEach((count, index) => {
    for (let n = 0; n < count; n++) found[symbols[at++]] = [word++, index + 1];
    word <<= 1;
  });
  return found;
}

/** Bits to bytes, with a zero behind each 255 (T.81, B.1.1.5). */
class Bits {
  /** @type {number[]} */
  #bytes = [];
  #kept = 0;
  #nKept = 0;

  /** @param {Word} word */
  put([word, length]) {
    this.#kept = (this.#kept << length) | word;
    this.#nKept += length;
    while (this.#nKept >= 8) {
      this.#nKept -= 8;
      const byte = (this.#kept >> this.#nKept) & 0xff;
      this.#bytes.push(byte);
      if (byte === 0xff) this.#bytes.push(0);
    }
    this.#kept &= (1 << this.#nKept) - 1;
  }

  /**
   * A number behind some zeros.
   * @param {Record<number, Word>} table
   * @param {number} zeros
   * @param {number} value
   */
  number(table, zeros, value) {
    const length = 32 - Math.clz32(Math.abs(value));
    this.put(table[(zeros << 4) | length]);
    this.put([(value < 0 ? value - 1 : value) & ((1 << length) - 1), length]);
  }

  end() {
    this.put([0x7f, 7]); // what is left of the last byte is ones
    return Uint8Array.from(this.#bytes);
  }
}

/** @param {string} hex */
function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}
