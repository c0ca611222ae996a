// The page's elements: found, made and drawn on. One that is missing is an error at once, with its name.

/**
 * The element with this id, of the kind that the caller needs.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind] any kind without it
 * @returns {T}
 */
export function $(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof (kind ?? HTMLElement))) throw new Error(`the page has no ${kind?.name ?? "element"} with the id ${id}`);
  return /** @type {T} */ (element);
}

/**
 * Write a text into the element with this id, not anew when it is there: screen readers would say it again.
 * @param {string} id
 * @param {string} text
 */
export function tell(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/**
 * A new element with these properties.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

/**
 * What draws on a canvas. Browsers that are out of memory have none.
 * @template {HTMLCanvasElement | OffscreenCanvas} Canvas
 * @param {Canvas} canvas
 * @param {CanvasRenderingContext2DSettings} [options]
 * @returns {Canvas extends HTMLCanvasElement ? CanvasRenderingContext2D : OffscreenCanvasRenderingContext2D}
 */
export function pen(canvas, options) {
  const context = /** @type {any} */ (canvas.getContext("2d", options));
  if (context === null) throw new Error("the browser has no room to draw a picture");
  return context;
}

/**
 * Draw a picture on a canvas of the picture's own size. The bitmap is closed: Chromium leaks it otherwise.
 * @param {Blob | HTMLCanvasElement} picture
 * @param {HTMLCanvasElement} canvas
 */
export async function draw(picture, canvas) {
  const bitmap = await createImageBitmap(picture);
  try {
    fit(canvas, bitmap.width, bitmap.height);
    pen(canvas, { alpha: false }).drawImage(bitmap, 0, 0);
  } finally {
    bitmap.close();
  }
}

/**
 * Resizing clears a canvas, so only when it has to be.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function fit(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
