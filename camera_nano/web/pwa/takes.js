// Takes: different answers of the model to one look of one frame, to pick from. What live/takes.py does.

import { constants } from "./constants.js";

/**
 * @import { differing } from "./answers.js"
 * @import { Session } from "./session.js"
 */

const N_SEEDS = 8; // that are tried: those are offered that differ most
const WIDTH_PX = 640;

/**
 * Four answers, darker ones first, as the server tells them.
 * @param {Session} session
 * @param {{ frameId: number, look: string, strength: number }} asked
 * @param {typeof differing} develop draws them, in another thread
 */
export async function takesOf(session, { frameId, look, strength }, develop) {
  const frame = session.frames.get(frameId);
  if (frame === null) throw new Error("there is no picture yet");
  const wanted = session.palette.toned(look);
  const others = Array.from({ length: Math.min(N_SEEDS, constants.n_seeds) }, (_, seed) => seed).filter((seed) => seed !== wanted.seed);
  const seeds = [wanted.seed, ...others].slice(0, N_SEEDS);
  const small = smaller(frame.bitmap); // now: frames are closed when newer ones come
  const { fields } = await session.ask(frame, seeds.map((seed) => ({ ...wanted, seed })), "");
  const answers = await develop({ picture: await small, fields, strength });
  let offset = 0;
  const takes = answers.map(({ index, ev, jpeg }) => {
    const place = [offset, jpeg.size];
    offset += jpeg.size;
    return { seed: seeds[index], ev, is_now: index === 0, jpeg: place };
  });
  return packed({ takes }, answers.map(({ jpeg }) => jpeg));
}

/** @param {ImageBitmap} bitmap */
function smaller(bitmap) {
  const scale = Math.min(1, WIDTH_PX / bitmap.width);
  const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((px) => Math.max(1, Math.round(px * scale)));
  return createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "medium" });
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
