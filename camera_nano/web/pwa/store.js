// Shots in this browser's own files (OPFS): the original first, its looks beside it, under the names that live/album.py uses.
// A file appears empty, and gets its bytes at once when it is closed: empty files are not whole, and nobody sees them. Where a
// browser cannot do that, it has another name until it is whole.

import { localTime } from "./marking.js";
import { hasGainMap } from "./ultrahdr.js";

/** @import { ListedShot } from "../static/protocol.js" */

const NAME = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{3})_(.+)\.(?:png|jpe?g|webp|avif|hei[cf]|gif|bmp|tiff?)$/; // others are being written
const ORIGINAL = "original";
const PART = ".part"; // behind the name of a file that grows: nobody lists it
const CHUNK_BYTES = 1 << 22;
const LOCK = "camera_nano shots"; // of whoever writes: shots are saved one after the other, by all pages

/**
 * A shot that is saved, as the server tells it; the caller adds what it knows of the press.
 * @typedef {object} SavedShot
 * @property {number} shot_id milliseconds since 1970
 * @property {string} taken_at
 * @property {string} original the name of its file
 * @property {Record<string, string>} looks names of files by look
 * @property {number} original_ms until the original was whole
 * @property {number} took_ms until all was
 * @property {number} n_merged
 * @property {"estimated" | null} headroom light above white in its looks
 * @property {string} note
 */

/**
 * Save a shot: the original is whole before the first look is begun.
 * @param {object} shot
 * @param {number} shot.id when it was taken, milliseconds since 1970; one later where a shot of this moment is there
 * @param {Blob} shot.original
 * @param {(origin: string) => Promise<Record<string, Blob>>} shot.looks makes the files, by look; told the original's name
 * @param {number} shot.took_ms what it took so far
 * @returns {Promise<SavedShot>}
 * @throws {Error} no room, or no files in this browser. What was saved by then stays: the original, if its writing ended.
 */
export async function saveShot({ id, original, looks, took_ms }) {
  const started = performance.now();
  const sofar = () => took_ms + Math.round(performance.now() - started);
  return navigator.locks.request(LOCK, async () => {
    const folder = await shots();
    const taken = new Set((await list()).map((shot) => shot.id));
    while (taken.has(id)) id += 1;
    const stem = localTime(new Date(id));
    const name = (/** @type {string} */ part, /** @type {Blob} */ { type }) =>
      `${stem}_${part}.${type === "image/jpeg" ? "jpg" : type.replace(/.*\//, "")}`;
    await write(folder, name(ORIGINAL, original), original);
    const original_ms = sofar();
    const made = await looks(name(ORIGINAL, original));
    const named = Object.fromEntries(Object.entries(made).map(([look, file]) => [look, name(look, file)]));
    for (const [look, file] of Object.entries(made)) await write(folder, named[look], file);
    const isHdr = (await Promise.all(Object.values(made).map(hasGainMap))).includes(true);
    return {
      shot_id: id,
      taken_at: new Date(id).toISOString(),
      original: name(ORIGINAL, original),
      looks: named,
      original_ms,
      took_ms: sofar(),
      n_merged: 1,
      headroom: isHdr ? "estimated" : null,
      note: "",
    };
  });
}

/**
 * The shots whose original is whole, newest first.
 * @returns {Promise<ListedShot[]>}
 */
export async function list() {
  /** @type {Map<number, ListedShot>} */
  const found = new Map();
  for await (const { name, handle } of files()) {
    const { id, part } = parsed(name);
    const { size } = await handle.getFile();
    if (part === "" || size === 0) continue;
    const shot = found.get(id) ?? { id, taken_at: new Date(id).toISOString(), parts: [] };
    shot.parts.push({ part, name, bytes: size });
    found.set(id, shot);
  }
  const order = (/** @type {{ part: string }} */ { part }) => (part === ORIGINAL ? "" : part);
  for (const { parts } of found.values()) parts.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  return [...found.values()].filter(({ parts }) => parts[0].part === ORIGINAL).sort((a, b) => b.id - a.id);
}

/**
 * The name of a part of a shot.
 * @param {number} id
 * @param {string} part
 */
export async function find(id, part) {
  for await (const { name } of files()) {
    const found = parsed(name);
    if (found.id === id && found.part === part) return name;
  }
  return null;
}

/**
 * A file of a shot.
 * @param {string} name
 * @returns {Promise<File>}
 * @throws {Error} there is none of this name
 */
export async function read(name) {
  try {
    const file = await (await (await shots()).getFileHandle(name)).getFile();
    if (file.size) return file;
  } catch (error) {
    if (!isNamed(error, "NotFoundError", "TypeError")) throw error;
  }
  throw new Error(`there is no picture ${name}: it was deleted`);
}

/**
 * Delete a shot, its original last.
 * @param {number} id
 */
export async function remove(id) {
  const folder = await shots();
  const names = [];
  for await (const { name } of files()) if (parsed(name).id === id) names.push(name);
  const isOriginal = (/** @type {string} */ name) => Number(parsed(name).part === ORIGINAL);
  for (const name of names.sort((a, b) => isOriginal(a) - isOriginal(b))) await folder.removeEntry(name);
}

/** Remove what a page that was closed or killed has left half-written; nothing while anybody writes. */
export async function sweep() {
  await navigator.locks.request(LOCK, { ifAvailable: true }, async (lock) => {
    if (lock === null) return;
    const whole = new Set((await list()).flatMap(({ parts }) => parts.map(({ name }) => name)));
    const folder = await shots();
    for await (const { name } of files()) if (!whole.has(name)) await folder.removeEntry(name);
  });
}

async function shots() {
  const root = await navigator.storage?.getDirectory?.().catch(() => null); // some have it, and refuse it in private windows
  if (!root) throw new Error("this browser keeps no files (it has no OPFS): use a newer one, and no private window");
  return root.getDirectoryHandle("shots", { create: true });
}

async function* files() {
  const entries = /** @type {AsyncIterable<[string, FileSystemHandle]>} */ (/** @type {unknown} */ (await shots()));
  for await (const [name, handle] of entries) {
    if (handle.kind === "file") yield { name, handle: /** @type {FileSystemFileHandle} */ (handle) };
  }
}

/**
 * The id of the shot that a file is of, in the zone of this device, and which part; "" for a file of another kind.
 * @param {string} name
 */
function parsed(name) {
  const [, year, month, day, hour, minute, second, ms, part = ""] = NAME.exec(name) ?? [];
  const at = new Date(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), Number(ms));
  return { id: at.getTime(), part };
}

/**
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 * @param {Blob} file
 */
async function write(folder, name, file) {
  const hasStreams = "createWritable" in FileSystemFileHandle.prototype;
  const first = hasStreams ? name : name + PART;
  const handle = await folder.getFileHandle(first, { create: true });
  try {
    if (hasStreams) await stream(handle, file);
    else await fill(handle, file).then(() => /** @type {any} */ (handle).move(folder, name));
  } catch (error) {
    await discard(folder, first);
    if (!isNamed(error, "QuotaExceededError")) throw error;
    throw new Error(`this browser has no room for ${name}: delete some shots, or free some space on this device`, { cause: error });
  }
}

/**
 * @param {FileSystemFileHandle} handle
 * @param {Blob} file
 */
async function stream(handle, file) {
  const writable = await handle.createWritable();
  try {
    await writable.write(file);
    await writable.close();
  } catch (error) {
    await writable.abort().catch(() => {}); // as a rule it is closed already
    throw error;
  }
}

/**
 * What Safari before 26 has instead, in workers alone: the file grows as it is written.
 * @param {FileSystemFileHandle} handle
 * @param {Blob} file
 */
async function fill(handle, file) {
  const access = await /** @type {any} */ (handle).createSyncAccessHandle();
  try {
    for (let at = 0; at < file.size; at += CHUNK_BYTES) access.write(await file.slice(at, at + CHUNK_BYTES).arrayBuffer(), { at });
    await access.flush(); // older ones promise it
  } finally {
    await access.close();
  }
}

/**
 * Remove a file whose writing failed; the browser may hold it a moment longer. If it stays it is empty, and `sweep` finds it.
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 */
async function discard(folder, name) {
  for (let n = 0; n < 20; n += 1) {
    try {
      return await folder.removeEntry(name);
    } catch (error) {
      if (!isNamed(error, "NoModificationAllowedError")) throw error;
    }
    await new Promise((then) => setTimeout(then, 50));
  }
}

/**
 * @param {unknown} error
 * @param {...string} names
 */
const isNamed = (error, ...names) => error instanceof Error && names.includes(error.name);
