// The model on ONNX Runtime for browsers, WebAssembly on one thread: what engines/onnx.py does, of the same files.

import { sha256 } from "./bytes.js";
import { THUMBNAIL_PX } from "./condition.js";
import { constants } from "./constants.js";

/**
 * @import { Assume, Controls } from "./constants.js"
 *
 * @typedef {{ dims: readonly number[], data: Float32Array }} Tensor
 * @typedef {{ run: (feeds: Record<string, Tensor>) => Promise<Record<string, Tensor>>, outputNames: readonly string[] }} Session
 *
 * @typedef {object} EditField of values.py
 * @property {Float32Array} grid (16, 16, 8, 4) in EV
 * @property {number[]} whiteEv
 * @property {number} settled 0..1, how far the light was left as it is because the picture looks finished
 */

const ORT = new URL("../ort/ort.wasm.bundle.min.mjs", import.meta.url).href;
const WASM = new URL("../ort/ort-wasm-simd-threaded.wasm", import.meta.url).href;
const FILES = ["encoder.int8.onnx", "denoiser.int8.onnx"];
const NOISE_SHAPE = [1, 32, 16, 16];
const N_NOISE = NOISE_SHAPE.reduce((a, b) => a * b);

/**
 * One of the model's files, as soon as it is known to be the one that was shipped.
 * @param {string} name
 */
export async function verified(name) {
  const answer = await fetch(new URL(`../model/${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`the model's file ${name} is missing: open the page once more while online`);
  const bytes = await answer.arrayBuffer();
  if ((await sha256(bytes)) !== constants.sha256[name]) throw new Error(`the model's file ${name} was changed: open the page once more while online`);
  return bytes;
}

export class Engine {
  #ort;
  #encoder;
  #denoiser;
  #noise;

  /**
   * @param {{ Tensor: new (type: "float32", data: Float32Array, dims: number[]) => Tensor }} ort
   * @param {Session[]} sessions
   * @param {Float32Array} noise of one seed of each pair
   */
  constructor(ort, [encoder, denoiser], noise) {
    this.#ort = ort;
    this.#encoder = encoder;
    this.#denoiser = denoiser;
    this.#noise = noise;
  }

  /** Load the run time and the model. Raises where a file is missing or is not the one that was shipped. */
  static async load() {
    const ort = await import(/** @type {string} */ (ORT));
    Object.assign(ort.env.wasm, { numThreads: 1, wasmPaths: { wasm: WASM } });
    const [noise, ...files] = await Promise.all(["noise.f32", ...FILES].map(verified));
    /** @type {Session[]} */
    const sessions = [];
    for (const file of files) sessions.push(await ort.InferenceSession.create(file, { executionProviders: ["wasm"] }));
    return new Engine(ort, sessions, new Float32Array(noise));
  }

  /**
   * One field per look: Euler steps of the rectified flow, as nn/flow.py's `sample_euler`.
   * @param {Float32Array} thumbnail (3, 64, 64)
   * @param {Controls[]} looks
   * @param {{ seed?: number, assume?: Assume, nSteps?: number }} [how]
   * @returns {Promise<EditField[]>}
   */
  async propose(thumbnail, looks, { seed = 0, assume = "auto", nSteps = constants.n_steps } = {}) {
    const { Tensor } = this.#ort;
    const n = looks.length;
    const seen = new Tensor("float32", thumbnail, [1, 3, THUMBNAIL_PX, THUMBNAIL_PX]);
    const noise = new Tensor("float32", this.#noiseOf(seed), NOISE_SHAPE);
    const encoded = await this.#encoder.run({ thumbnail: seen, noise });
    const parts = this.#encoder.outputNames.map((name) => encoded[name]);
    const [features, vector, cells, tones, drawn, start] = parts;
    for (let i = constants.assumed_tones[0]; i < constants.assumed_tones[1]; i++) tones.data[i] += constants.assumed_logit[assume];
    const told = looks.flatMap((look) => constants.controls.map((name) => look[name] ?? 0));
    const controls = new Tensor("float32", Float32Array.from(told), [n, constants.controls.length]);
    const shared = { features, vector, cells, tones, drawn, controls };
    const x = new Float32Array(n * start.data.length);
    for (let i = 0; i < n; i++) x.set(start.data, i * start.data.length);
    /** @type {Tensor[]} */
    let made = [];
    for (let step = 0; step < nSteps; step++) {
      const [t, next] = [1 - step / nSteps, 1 - (step + 1) / nSteps];
      const feeds = { x: new Tensor("float32", x.slice(), [n, ...start.dims.slice(1)]), t: new Tensor("float32", new Float32Array(n).fill(t), [n]) };
      const answer = await this.#denoiser.run({ ...shared, ...feeds });
      const [x0, ...rest] = this.#denoiser.outputNames.map((name) => answer[name]);
      made = rest;
      for (let i = 0; i < x.length; i++) x[i] = x0.data[i] + (next / t) * (x[i] - x0.data[i]);
    }
    return looks.map((_, i) => asField(made, i));
  }

  /**
   * engines/weights.py's `seeded_noise`: of a pair of seeds the first was shipped, and the second has the other sign.
   * @param {number} seed
   */
  #noiseOf(seed) {
    if (seed === 0) return new Float32Array(N_NOISE);
    if (seed >= constants.n_seeds) throw new Error(`there is noise for ${constants.n_seeds} seeds only`);
    const pair = (seed + 1) >> 1;
    const noise = this.#noise.slice((pair - 1) * N_NOISE, pair * N_NOISE);
    return seed % 2 ? noise : noise.map((value) => -value);
  }
}

/**
 * What the model says of one look -> its field.
 * @param {Tensor[]} made
 * @param {number} i
 * @returns {EditField}
 */
function asField([grids, whites, settled], i) {
  const size = grids.data.length / grids.dims[0];
  const whiteEv = Array.from(whites.data.subarray(3 * i, 3 * i + 3), (ev) => Math.min(0, ev));
  return { grid: grids.data.slice(i * size, (i + 1) * size), whiteEv, settled: settled.data[i] };
}
