// One binary message: 4-byte big-endian header length, JSON header, JPEGs.

const text = new TextDecoder();

/** ArrayBuffer -> {header, view: Blob, before: Blob or null, tiles: [{look, frame_id, age_ms, picture: Blob}]} */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(text.decode(new Uint8Array(buffer, 4, length)));
  const jpeg = (offset, size) =>
    new Blob([new Uint8Array(buffer, 4 + length + offset, size)], { type: "image/jpeg" });
  const tiles = (header.tiles ?? []).map((tile) => ({ ...tile, picture: jpeg(tile.offset, tile.length) }));
  const before = header.before ? jpeg(...header.before) : null;
  return { header, view: jpeg(...header.jpeg), before, tiles };
}

/** Draw a JPEG on a canvas of the picture's own size. The bitmap is closed: Chromium leaks it otherwise. */
export async function draw(picture, canvas) {
  const bitmap = await createImageBitmap(picture);
  try {
    fit(canvas, bitmap.width, bitmap.height);
    canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  } finally {
    bitmap.close();
  }
}

/** Resizing clears a canvas, so only when it has to be. */
export function fit(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** An age that was true when its message came, and grows from there. */
export class Age {
  constructor(ms) {
    this.born = performance.now() - ms;
  }

  get ms() {
    return Math.max(0, Math.round(performance.now() - this.born));
  }
}
