// Files as one ZIP archive, stored as they are, since pictures do not shrink: PKWARE's APPNOTE 6.3.10, of which the clauses are.

import { joined, struct, utf8 } from "./bytes.js";

const VERSION = 20; // 4.4.3
const NAMES_IN_UTF8 = 1 << 11; // 4.4.4
const [MOST_BYTES, MOST_FILES] = [0xffffffff, 0xffff]; // more takes the 64-bit fields, which not everybody reads
const CHUNK_BYTES = 1 << 22;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
  return rest;
});

/**
 * An archive of these files. Their bytes are read once, for the checksums, and stay where they are: it is a list of pieces.
 * @param {File[]} files of different names
 * @param {(share: number) => void} [progress] hears how much is done, 0..1
 * @returns {Promise<Blob>}
 * @throws {Error} more than 4 GB or 65,535 files, or one that cannot be read
 */
export async function zipped(files, progress = () => {}) {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (total > 0.99 * MOST_BYTES || files.length > MOST_FILES) throw new Error("this is more than a ZIP file holds (4 GB): choose fewer");
  /** @type {(Uint8Array<ArrayBuffer> | File)[]} */
  const pieces = [];
  const directory = [];
  let [offset, nRead] = [0, 0];
  for (const file of files) {
    const name = utf8(file.name);
    const crc = await crc32(file, (n) => progress((nRead += n) / total));
    const about = struct("<HHHHHIIIHH", VERSION, NAMES_IN_UTF8, 0, ...dosTime(new Date(file.lastModified)), crc, file.size, file.size, name.length, 0);
    const local = joined(struct("<I", 0x04034b50), about, name); // 4.3.7
    pieces.push(local, file);
    directory.push(joined(struct("<IH", 0x02014b50, VERSION), about, struct("<HHHII", 0, 0, 0, 0, offset), name)); // 4.3.12
    offset += local.length + file.size;
  }
  const index = joined(...directory);
  const end = struct("<IHHHHIIH", 0x06054b50, 0, 0, files.length, files.length, index.length, offset, 0); // 4.3.16
  return new Blob([...pieces, index, end], { type: "application/zip" });
}

/**
 * @param {Blob} file
 * @param {(nBytes: number) => void} read hears of every chunk
 */
async function crc32(file, read) {
  let crc = 0xffffffff;
  for (let at = 0; at < file.size; at += CHUNK_BYTES) {
    const chunk = new Uint8Array(await file.slice(at, at + CHUNK_BYTES).arrayBuffer());
    for (let i = 0; i < chunk.length; i++) crc = CRC_TABLE[(crc ^ chunk[i]) & 0xff] ^ (crc >>> 8);
    read(chunk.length);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * Time and date of MS-DOS, 4.4.6: local, in steps of two seconds, since 1980.
 * @param {Date} at
 */
function dosTime(at) {
  const time = (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1);
  return [time, (Math.max(0, at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate()];
}
