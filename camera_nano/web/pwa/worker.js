// The model in a thread of its own, so that the view never waits: a picture goes in, fields come out.

import { reasonOf } from "../static/toasts.js";
import { condition } from "./condition.js";
import { Engine } from "./engine.js";
import { newestShare, mix } from "./temporal.js";
import { serve } from "./thread.js";

/**
 * @import { Assume, Controls } from "./constants.js"
 * @import { EditField } from "./engine.js"
 *
 * @typedef {{ name: string, controls: Controls, seed: number }} Asked a look, and the seed of the answer
 * @typedef {{ picture: ImageBitmap, asked: Asked[], assume: Assume, scene: string }} Question pictures of one scene that
 *   follow each other are smoothed over time; of "" they are not
 * @typedef {{ fields: EditField[], ms: Record<string, number> }} Answer a field for each that was asked, and times
 */

/** @type {{ key: string, thumbnail: Float32Array, fields: Map<string, EditField> } | null} */
let before = null;

const loaded = Engine.load();
const note = serve(async (/** @type {Question} */ question) => answer(await loaded, question));
loaded.then(() => note("ready"), (error) => note(reasonOf(error)));

/**
 * @param {Engine} engine
 * @param {Question} question
 * @returns {Promise<Answer>}
 */
async function answer(engine, { picture, asked, assume, scene }) {
  const started = performance.now();
  const thumbnail = seen(picture);
  const proposing = performance.now();
  /** @type {Map<Asked, EditField>} */
  const made = new Map();
  for (const seed of new Set(asked.map((each) => each.seed))) { // all looks of one seed are one question
    const ones = asked.filter((each) => each.seed === seed);
    const fields = await engine.propose(thumbnail, ones.map(({ controls }) => controls), { seed, assume });
    ones.forEach((each, i) => made.set(each, fields[i]));
  }
  const ms = { condition: proposing - started, propose: performance.now() - proposing };
  const fields = asked.map((each) => /** @type {EditField} */ (made.get(each)));
  return { fields: scene ? calmed(`${scene} ${assume}`, thumbnail, asked, fields) : fields, ms };
}

/** @param {ImageBitmap} picture */
function seen(picture) {
  const { width, height } = picture;
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, alpha: false });
  if (pen === null) throw new Error("the browser has no room to look at a picture");
  pen.drawImage(picture, 0, 0);
  picture.close();
  return condition(pen.getImageData(0, 0, width, height).data, width, height);
}

/**
 * Each field smoothed with the one before; a look that was just changed starts afresh.
 * @param {string} key of what may be smoothed with each other
 * @param {Float32Array} thumbnail
 * @param {Asked[]} asked
 * @param {EditField[]} fields
 */
function calmed(key, thumbnail, asked, fields) {
  const old = before?.key === key ? before : null;
  const share = old ? newestShare(old.thumbnail, thumbnail) : 1;
  const names = asked.map((each) => JSON.stringify(each));
  const smooth = fields.map((field, i) => mix(old?.fields.get(names[i]), field, share));
  before = { key, thumbnail, fields: new Map(smooth.map((field, i) => [names[i], field])) };
  return smooth;
}
