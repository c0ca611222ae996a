// What the browser lets people set on a camera that this page lends: light, zoom, which lens, where it meters.

import { $, make } from "./dom.js";
import { reasonOf, toast } from "./toasts.js";

/**
 * Of the Media Capture Image specification, where a browser has it.
 * @typedef {MediaTrackCapabilities & { torch?: boolean, zoom?: { min: number, max: number, step: number }, pointsOfInterest?: object }} Abilities
 */

export class Lens {
  /** @type {MediaStreamTrack | null} */
  #track = null;

  /** @param {(deviceId: string) => void} choose another camera of this device */
  constructor(choose) {
    this.torch = $("lend-torch", HTMLButtonElement);
    this.zoom = $("lend-zoom", HTMLInputElement);
    this.which = $("lend-lens", HTMLSelectElement);
    this.torch.addEventListener("click", () => {
      const on = this.torch.ariaPressed !== "true";
      this.torch.ariaPressed = String(on);
      this.#apply({ torch: on });
    });
    this.zoom.addEventListener("input", () => this.#apply({ zoom: this.zoom.valueAsNumber }));
    this.which.addEventListener("change", () => choose(this.which.value));
  }

  /**
   * Offer what this camera has.
   * @param {MediaStreamTrack} track
   * @param {MediaDeviceInfo[]} cameras all of this device
   */
  offer(track, cameras) {
    this.#track = track;
    const { torch, zoom } = this.#abilities;
    this.torch.hidden = !torch;
    this.torch.ariaPressed = "false";
    $("lend-zoom-row").hidden = !zoom;
    if (zoom) {
      const [min, max, step] = [zoom.min, zoom.max, zoom.step || 0.1].map(String);
      Object.assign(this.zoom, { min, max, step, value: min });
    }
    const now = track.getSettings().deviceId;
    this.which.hidden = cameras.length < 2; // only told once one is allowed
    this.which.replaceChildren(
      ...cameras.map(({ deviceId, label }, i) => make("option", { value: deviceId, textContent: label || `Camera ${i + 1}`, selected: deviceId === now })),
    );
  }

  /** Nothing is lent any more. */
  letGo() {
    this.#track = null;
  }

  /**
   * Meter at a point, 0..1 from the left and top; false where nothing is lent, or this camera cannot.
   * @param {number} x
   * @param {number} y
   */
  meter(x, y) {
    if (!this.#track || !this.#abilities.pointsOfInterest) return false;
    this.#apply({ pointsOfInterest: [{ x, y }] });
    return true;
  }

  /** @returns {Abilities} */
  get #abilities() {
    return this.#track?.getCapabilities?.() ?? {};
  }

  /** @param {object} wish */
  async #apply(wish) {
    try {
      await this.#track?.applyConstraints({ advanced: [wish] });
    } catch (error) {
      toast("The camera did not do that", reasonOf(error), { isError: true });
    }
  }
}
