// A look at full size -> the bytes of its file: what live/album.py does with files/deliver.py.

import { pen } from "../static/dom.js";
import { evOf, Light } from "../static/light.js";
import { denoise } from "./denoise.js";
import { greyJpeg } from "./greyjpeg.js";
import { exifOf, marks } from "./marking.js";
import { packed } from "./ultrahdr.js";

/** @import { Field } from "../static/light.js" */
/** @import { Recipe } from "./marking.js" */
/** @typedef {(ImageBitmap | OffscreenCanvas | HTMLCanvasElement)} Picture in sRGB, upright */

const TILE_PX = 2048; // textures of this size are in every WebGL2; memory of the GPU does not grow with the picture
const LEAST_HEADROOM_EV = 0.25; // values.py
const SMALL_PX = 1 << 20; // light/headroom.py: the map of a smaller picture has its size
const SAMPLE_STEP = 32; // files/marking.py
const OPAQUE = { alpha: false };

/** @type {Light | null} one for all files: browsers take away contexts where there are many */
let light = null;

/**
 * The file of a look: an Ultra HDR JPEG with marks and recipe; a plain JPEG where there is no light above white.
 *
 * It waits after each tile, so that a page stays alive; it runs in a worker, too.
 * @param {object} wanted
 * @param {Picture} wanted.source the frame at full size
 * @param {Field} wanted.field of the look, at strength 1
 * @param {Recipe["look"]} wanted.look its name and controls
 * @param {number} wanted.strength 0..1
 * @param {Omit<Recipe, "look" | "strength" | "format" | "photo">} wanted.recipe what else the look was made by
 * @param {string} wanted.origin the name of the original's file
 * @param {Date} wanted.at when the exposure began
 * @param {string} wanted.camera what people call it
 * @param {string} wanted.software "camera_nano 1.2.3"
 * @param {number} [wanted.quality] 0..100
 * @returns {Promise<Blob>}
 * @throws {Error} no WebGL2, or the GPU is lost, or there is no memory
 */
export async function lookFile({ source, field, look, strength, recipe, origin, at, camera, software, quality = 95 }) {
  const exif = exifOf({ at, camera, software });
  const samples = samplesOf(source);
  const xmp = await marks({ ...recipe, look, strength, format: "ultrahdr" }, { origin, samples, exif, software });
  const aspect = recipe.aspect ?? "";
  const made = await painted(source, field, strength);
  await denoise(made, source, field, strength, (picture) => painted(picture, field, strength));
  const base = await jpeg(cut(made, aspect), quality);
  const map = await gainMap(source, field, strength);
  const file = packed(base, { exif, xmp }, map && {
    // in a map of little range, small errors of gain are many codes: lower quality will do
    jpeg: grey(cut(map.codes, aspect), Math.min(95, Math.max(70, Math.trunc(65 + 10 * map.headroomEv)))),
    headroomEv: map.headroomEv,
  });
  return new Blob([file], { type: "image/jpeg" });
}

/**
 * Every 32nd pixel of every 32nd row, as bytes of R, G, B: what files/marking.py tells photos apart by.
 * @param {Picture} picture
 */
function samplesOf(picture) {
  const [width, rows] = [picture.width, Math.ceil(picture.height / SAMPLE_STEP)];
  const context = pen(new OffscreenCanvas(width, rows), OPAQUE);
  for (let row = 0; row < rows; row++) context.drawImage(picture, 0, row * SAMPLE_STEP, width, 1, 0, row, width, 1);
  const { data } = context.getImageData(0, 0, width, rows);
  const columns = Math.ceil(width / SAMPLE_STEP);
  return new Uint8Array(rows * columns * 3).map((_, i) => {
    const [pixel, channel] = [Math.floor(i / 3), i % 3];
    return data[4 * (Math.floor(pixel / columns) * width + (pixel % columns) * SAMPLE_STEP) + channel];
  });
}

/**
 * The light above white: light/headroom.py's `draw_gain_map`.
 * @param {Picture} source
 * @param {Field} field
 * @param {number} strength
 * @returns {Promise<{ codes: OffscreenCanvas, headroomEv: number } | null>} grey, 255 is `headroomEv`
 */
async function gainMap(source, field, strength) {
  const mostEv = strength * mostHeadroomEv(field);
  if (mostEv < LEAST_HEADROOM_EV) return null;
  const small = source.width * source.height < SMALL_PX ? source : halved(source);
  let codes = await painted(small, field, strength, mostEv);
  const most = codesOf(codes).reduce((high, code) => Math.max(high, code), 0);
  const headroomEv = (mostEv * most) / 255;
  if (headroomEv < LEAST_HEADROOM_EV) return null;
  if (most < 250) codes = await painted(small, field, strength, headroomEv); // codes spread over the gains that occur
  return { codes, headroomEv };
}

/**
 * Half as wide and high, rounded up.
 * @param {Picture} picture
 */
function halved(picture) {
  const half = new OffscreenCanvas(Math.ceil(picture.width / 2), Math.ceil(picture.height / 2));
  const context = pen(half, OPAQUE);
  context.imageSmoothingQuality = "low"; // between pixels, at half the size, that is their mean
  context.drawImage(picture, 0, 0, half.width, half.height);
  return half;
}

/** @param {Field} field */
function mostHeadroomEv({ grid }) {
  let most = 0;
  for (let i = 3; i < grid.length; i += 4) most = Math.max(most, evOf(grid, i));
  return most;
}

/** @param {OffscreenCanvas} map */
function codesOf(map) {
  const { data } = pen(map).getImageData(0, 0, map.width, map.height);
  return new Uint8Array(data.length / 4).map((_, i) => data[4 * i]);
}

/**
 * The picture through the field, or, with `headroomEv`, the light above white in grey.
 * @param {Picture} source
 * @param {Field} field
 * @param {number} strength
 * @param {number} [headroomEv]
 */
async function painted(source, field, strength, headroomEv) {
  light ??= new Light(new OffscreenCanvas(1, 1));
  const { width, height } = source;
  const whole = new OffscreenCanvas(width, height);
  const context = pen(whole, OPAQUE);
  for (let top = 0; top < height; top += TILE_PX) {
    for (let left = 0; left < width; left += TILE_PX) {
      const tile = new OffscreenCanvas(Math.min(TILE_PX, width - left), Math.min(TILE_PX, height - top));
      pen(tile, OPAQUE).drawImage(source, -left, -top);
      light.frame(tile, 0, [left, top, width, height]);
      light.field(field, strength);
      light.draw(headroomEv);
      if (light.isLost) throw new Error("the GPU went away while a look was drawn for its file: shoot again");
      context.drawImage(light.canvas, left, top);
      await new Promise((then) => setTimeout(then));
    }
  }
  return whole;
}

/**
 * The middle of a picture in this shape, as large as fits: light/cut.py.
 * @param {OffscreenCanvas} picture
 * @param {string} aspect "4:3" is 3:4 of an upright picture; "" is the whole
 */
function cut(picture, aspect) {
  if (!aspect) return picture;
  const { width, height } = picture;
  const [long, short] = aspect.split(":").map(Number);
  const ratio = height > width ? short / long : long / short;
  const part = new OffscreenCanvas(Math.min(width, Math.round(height * ratio)), Math.min(height, Math.round(width / ratio)));
  pen(part, OPAQUE).drawImage(picture, -Math.floor((width - part.width) / 2), -Math.floor((height - part.height) / 2));
  return part;
}

/**
 * @param {OffscreenCanvas} canvas
 * @param {number} quality 0..100
 */
async function jpeg(canvas, quality) {
  const file = await canvas.convertToBlob({ type: "image/jpeg", quality: quality / 100 });
  return new Uint8Array(await file.arrayBuffer());
}

/**
 * @param {OffscreenCanvas} map
 * @param {number} quality 0..100
 */
const grey = (map, quality) => greyJpeg(codesOf(map), map.width, map.height, quality);
