// The addresses of the gallery, answered from this browser's own files: what web/gallery.py does on a server.

import { pen } from "../static/dom.js";
import { find, list, read, remove } from "./store.js";
import { zipped } from "./zip.js";

const TILE_WIDTH_PX = 400;

/**
 * @param {Request} request
 * @param {string} path of its address, "api/shots/1769900398007/golden/thumb"
 * @param {(picture: Blob) => Promise<Blob>} [tile] makes a small picture
 * @returns {Promise<Response>}
 */
export async function answer({ method, url }, path, tile = small) {
  try {
    const [, , id, part, kind] = path.split("/").map(decodeURIComponent);
    if (id === undefined) return Response.json((await list()).slice(0, Number(new URL(url).searchParams.get("most") ?? Infinity)));
    if (method === "DELETE") return await deleted(Number(id));
    const name = await find(Number(id), part);
    if (!name || method !== "GET" || (kind !== undefined && kind !== "thumb")) return new Response("there is no such picture", { status: 404 });
    const picture = await read(name);
    return new Response(kind ? await tile(picture) : picture);
  } catch (error) {
    return new Response(error instanceof Error ? error.message : String(error), { status: 500 });
  }
}

/** @param {number} id */
async function deleted(id) {
  await remove(id);
  return new Response(null, { status: 204 });
}

/**
 * A tile of a picture, JPEG.
 * @param {Blob} picture
 */
export async function small(picture) {
  const bitmap = await createImageBitmap(picture);
  const width = Math.min(TILE_WIDTH_PX, bitmap.width);
  const tile = new OffscreenCanvas(width, Math.max(1, Math.round((bitmap.height * width) / bitmap.width)));
  const context = pen(tile);
  context.imageSmoothingQuality = "medium"; // else one pixel in three is looked at
  context.drawImage(bitmap, 0, 0, tile.width, tile.height);
  bitmap.close();
  return tile.convertToBlob({ type: "image/jpeg", quality: 0.85 });
}

/**
 * All files of these shots, as they are, in one ZIP file; those that were deleted meanwhile are left out.
 * @param {number[]} ids
 * @param {(share: number) => void} progress
 */
export async function archive(ids, progress) {
  const parts = (await list()).filter(({ id }) => ids.includes(id)).flatMap((shot) => shot.parts);
  const files = await Promise.all(parts.map(({ name }) => read(name).catch(() => null)));
  return zipped(files.filter((file) => file !== null), progress);
}
