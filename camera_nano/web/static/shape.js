// The shape of the picture: what is shown and what a look is cut to, out of the middle. The original stays whole.

export const SHAPES = ["", "1:1", "4:3", "16:9"]; // "" is the camera's own

/**
 * Width over height of a shape, as the picture lies: 4:3 of an upright picture is 3:4.
 * @param {string} name
 * @param {{ width: number, height: number }} picture
 */
function ratioOf(name, { width, height }) {
  const [long, short] = name ? name.split(":").map(Number) : [width, height];
  return name && height > width ? short / long : long / short;
}

/**
 * Make the page show pictures in this shape.
 * @param {{ width: number, height: number }} picture
 * @param {string} name
 */
export function shape(picture, name) {
  document.documentElement.style.setProperty("--aspect", ratioOf(name, picture).toFixed(4));
}

/**
 * A point of the cut picture, 0..1, as one of the whole.
 * @param {string} name
 * @param {{ width: number, height: number }} picture
 * @param {number} x
 * @param {number} y
 * @returns {[x: number, y: number]}
 */
export function wholeOf(name, picture, x, y) {
  const narrower = (ratioOf(name, picture) * picture.height) / picture.width;
  const [width, height] = [Math.min(1, narrower), Math.min(1, 1 / narrower)];
  return [0.5 + (x - 0.5) * width, 0.5 + (y - 0.5) * height];
}
