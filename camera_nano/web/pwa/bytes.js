// Numbers and texts as the bytes of files.

const SIZES = { B: 1, H: 2, I: 4 };

/**
 * Unsigned numbers of 1 (B), 2 (H) or 4 (I) bytes: `struct.pack` of Python.
 * @param {string} format one letter a number; little-endian after "<", else big-endian
 * @param {...number} values
 */
export function struct(format, ...values) {
  const isLittle = format.startsWith("<");
  const kinds = /** @type {(keyof typeof SIZES)[]} */ ([...format].slice(Number(isLittle)));
  const view = new DataView(new ArrayBuffer(kinds.reduce((sum, kind) => sum + SIZES[kind], 0)));
  let at = 0;
  kinds.forEach((kind, index) => {
    if (kind === "B") view.setUint8(at, values[index]);
    else if (kind === "H") view.setUint16(at, values[index], isLittle);
    else view.setUint32(at, values[index], isLittle);
    at += SIZES[kind];
  });
  return new Uint8Array(view.buffer);
}

/** @param {string} text */
export const utf8 = (text) => new TextEncoder().encode(text);

/** @param {...(Uint8Array | string)} parts text becomes UTF-8 */
export function joined(...parts) {
  const chunks = parts.map((part) => (typeof part === "string" ? utf8(part) : part));
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/**
 * SHA-256 in hex.
 * @param {BufferSource} data
 */
export async function sha256(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
