// What a look's controls do to light, as nn/tone.py: so that a slider is seen before the model has answered. Knows of no
// server.

/**
 * @import { Field } from "./light.js"
 * @import { ToneValues } from "./protocol.js"
 *
 * @typedef {Record<string, number>} Controls of a look, by the names of values.CONTROLS; those that are not there are 0
 * @typedef {Record<string, [low: number, high: number, unit: string]>} Ranges of controls, in which the model was trained
 * @typedef {[number, number, number]} Light linear R, G, B; 1 is white
 */

const MIDDLE_EV = -1.94; // these three as in nn/tone.py
const LEAST = 2 ** -14;
const DARKEST_WHITE_EV = -5;
const FLOOR = 2 ** -11; // nn/guess.py's LIGHT_FLOOR: where there is hardly any light, no gain is asked for
const LIMIT_EV = 6; // values.GAIN_LIMIT_EV
const N_BINS = 8;
const SHOWN = Float64Array.from({ length: N_BINS }, (_, bin) => (2 ** ((10 * (bin + 0.5)) / N_BINS) - 1) / 1023); // luminance
const STEPS_PER_EV = 8;
const TONES = Array.from({ length: 14 * STEPS_PER_EV + 1 }, (_, n) => n / STEPS_PER_EV - 14); // up to white
const N_HALVINGS = 16; // of 32 stops, to a two-thousandth

/** @type {(light: Light) => number} */
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b; // ITU-R BT.709-6

/** @type {(light: Light, change: (value: number, channel: number) => number) => Light} */
const each = ([r, g, b], change) => [change(r, 0), change(g, 1), change(b, 2)];

/** @param {number} x */
function smoothstep(x) {
  const t = Math.min(1, Math.max(0, x));
  return t * t * (3 - 2 * t);
}

/**
 * A look's controls with the tone of all looks laid on, as looks/palette.py's `toned`.
 * @param {Controls} controls
 * @param {ToneValues} tone
 * @param {Ranges} ranges
 * @returns {Controls}
 */
export function toned(controls, tone, ranges) {
  const held = (/** @type {keyof ToneValues} */ name) => {
    const [low, high] = ranges[name];
    return Math.min(high, Math.max(low, (controls[name] ?? 0) + tone[name]));
  };
  return { ...controls, highlights: held("highlights"), shadows: held("shadows") };
}

/**
 * CIE xy of a black body -> its linear R, G, B at a luminance of 1: color.py's `temperature_gains`, whose sources these are.
 * @param {number} mired
 * @returns {Light}
 */
function white(mired) {
  const [t, isWarm] = [mired / 1000, mired >= 250];
  const xOf = isWarm ? [-0.2661239, -0.2343589, 0.8776956, 0.17991] : [-3.0258469, 2.1070379, 0.2226347, 0.24039];
  const cubic = (/** @type {number[]} */ [a, b, c, d], /** @type {number} */ v) => ((a * v + b) * v + c) * v + d;
  const x = cubic(xOf, t);
  const coldest = [3.081758, -5.8733867, 3.75112997, -0.37001483];
  const middle = [-0.9549476, -1.37418593, 2.09137015, -0.16748867];
  const y = cubic(!isWarm ? coldest : mired > 1e6 / 2222 ? [-1.1063814, -1.3481102, 2.18555832, -0.20219683] : middle, x);
  const [X, Z] = [x / y, (1 - x - y) / y];
  return [3.2406 * X - 1.5372 - 0.4986 * Z, -0.9689 * X + 1.8758 + 0.0415 * Z, 0.0557 * X - 0.204 + 1.057 * Z];
}

/** @param {number} temperature hundreds of mired */
function whiteGains(temperature) {
  const neutral = 1e6 / 6500;
  const from = white(neutral);
  const gains = each(white(Math.min(590, Math.max(45, neutral + 100 * temperature))), (value, i) => value / from[i]);
  return each(gains, (gain) => gain / luminance(gains));
}

/** @param {Controls} controls */
function prepared({ ev = 0, contrast = 0, highlights = 0, shadows = 0, temperature = 0, saturation = 0 }) {
  const toneOf = (/** @type {number} */ tone) =>
    tone + ev + shadows * smoothstep((MIDDLE_EV - tone) / 3) + highlights * smoothstep((tone - MIDDLE_EV) / 2);
  return { toneOf, power: 2 ** contrast, gains: whiteGains(temperature), colour: 1 + saturation };
}

/**
 * nn/tone.py's `dress` for a look.
 * @param {Controls} controls
 * @returns {(light: Light) => Light}
 */
export function dress(controls) {
  const { toneOf, power, gains, colour } = prepared(controls);
  return (light) => {
    const tone = Math.log2(luminance(light) + LEAST);
    const gain = 2 ** (toneOf(tone) - tone);
    const lit = each(light, (value, i) => value * gain * gains[i]);
    const steeper = (Math.max(luminance(lit), LEAST) / 0.18) ** (power - 1);
    const y = luminance(lit) * steeper;
    return each(lit, (value) => Math.min(1, Math.max(0, y + (value * steeper - y) * colour)));
  };
}

/**
 * `dress` backwards: the light that becomes this one.
 * @param {Controls} controls
 * @returns {(light: Light) => Light}
 */
function undress(controls) {
  const { toneOf, power, gains, colour } = prepared(controls);
  return (light) => {
    const y = luminance(light);
    const flatter = (Math.max(y, LEAST) / 0.18) ** (1 / power - 1);
    const lit = each(light, (value, i) => ((y + (value - y) / colour) * flatter) / gains[i]);
    const tone = Math.log2(Math.max(0, luminance(lit)) + LEAST);
    let [low, high] = [-24, 8];
    for (let n = 0; n < N_HALVINGS; n++) {
      const middle = (low + high) / 2;
      if (toneOf(middle) < tone) low = middle;
      else high = middle;
    }
    return each(lit, (value) => value * 2 ** (low - tone));
  };
}

/**
 * What the model will make of a look with other controls, by formula: it makes its first guess of them in the same way.
 * The light of a cell is taken for grey, so saturation changes nothing.
 * @template {Field} F
 * @param {F} field
 * @param {Controls} from that it was made for
 * @param {Controls} to
 * @returns {F}
 */
export function redressed(field, from, to) {
  const [off, on] = [undress(from), dress(to)];
  const changes = TONES.map((tone) => {
    const grey = 2 ** tone;
    return each(on(off([grey, grey, grey])), (value) => Math.log2((value + FLOOR) / (grey + FLOOR)));
  });
  const grid = Float32Array.from(floats(field.grid));
  for (let at = 0; at < grid.length; at += 4) {
    const [r, g, b] = [2 ** grid[at], 2 ** grid[at + 1], 2 ** grid[at + 2]];
    const place = (Math.log2(SHOWN[(at / 4) % N_BINS] * luminance([r, g, b])) - TONES[0]) * STEPS_PER_EV;
    const low = Math.min(TONES.length - 2, Math.max(0, Math.floor(place)));
    const share = Math.min(1, Math.max(0, place - low));
    for (let i = 0; i < 3; i++) {
      const changeEv = changes[low][i] + share * (changes[low + 1][i] - changes[low][i]);
      grid[at + i] = Math.min(LIMIT_EV, Math.max(-LIMIT_EV, grid[at + i] + changeEv));
    }
  }
  return { ...field, grid, whiteEv: on([1, 1, 1]).map((value) => Math.max(DARKEST_WHITE_EV, Math.log2(value))) };
}

/**
 * The numbers of a grid that may be the bits of half floats (IEEE 754 binary16; ours are finite).
 * @param {Field["grid"]} grid
 */
export function floats(grid) {
  if (grid instanceof Float32Array) return grid;
  return Float32Array.from(grid, (bits) => {
    const [exponent, fraction] = [(bits >> 10) & 31, (bits & 1023) / 1024];
    const size = exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14;
    return bits & 0x8000 ? -size : size;
  });
}
