// Focus peaking: what is sharp is drawn over in colour, counted on a small copy of the view.

import { $, fit, make, pen } from "./dom.js";

const WIDTH_PX = 480;
const SHARP = 36; // of 255: the step of brightness over two pixels from which an edge counts as sharp
const COLOUR = [80, 255, 120, 255];

export class Peaking {
  isOn = false;
  #small = make("canvas");

  /** @param {HTMLCanvasElement} view */
  constructor(view) {
    this.view = view;
    this.peaks = $("peaks", HTMLCanvasElement);
  }

  /** Mark what is on the view now. */
  draw() {
    this.peaks.hidden = !this.isOn;
    if (!this.isOn) return;
    const [width, height] = [WIDTH_PX, Math.max(3, Math.round((WIDTH_PX * this.view.height) / this.view.width))];
    fit(this.#small, width, height);
    fit(this.peaks, width, height);
    const small = pen(this.#small, { willReadFrequently: true });
    small.drawImage(this.view, 0, 0, width, height);
    const { data } = small.getImageData(0, 0, width, height);
    const peaks = pen(this.peaks);
    const marks = peaks.createImageData(width, height);
    let n = 0;
    for (let y = 1; y < height - 1; y++) {
      for (let x = 1; x < width - 1; x++) {
        const i = 4 * (y * width + x) + 1; // green is most of what the eye calls sharp
        const across = Math.abs(data[i + 4] - data[i - 4]);
        const down = Math.abs(data[i + 4 * width] - data[i - 4 * width]);
        if (Math.max(across, down) < SHARP) continue;
        marks.data.set(COLOUR, i - 1);
        n++;
      }
    }
    peaks.putImageData(marks, 0, 0);
    this.peaks.dataset.share = (n / (width * height)).toFixed(4);
  }
}
