// The level: a line that is flat when this device is. For a device that is the camera itself.

import { $ } from "./dom.js";

const LEVEL_DEG = 0.7;

export class Level {
  #isListening = false;

  constructor() {
    this.line = $("level");
  }

  /** @param {boolean} on */
  async show(on) {
    if (!on) {
      window.removeEventListener("deviceorientation", this.#turned);
      this.#isListening = false;
      this.line.hidden = true;
    } else if (!this.#isListening && "DeviceOrientationEvent" in window) {
      this.#isListening = true;
      /** @type {{ requestPermission?: () => Promise<string> }} */
      const asks = /** @type {any} */ (DeviceOrientationEvent); // Safari's alone
      if (asks.requestPermission && (await asks.requestPermission().catch(() => "denied")) !== "granted") return;
      window.addEventListener("deviceorientation", this.#turned);
    }
  }

  /** @type {(event: DeviceOrientationEvent) => void} beta and gamma in degrees, W3C Device Orientation */
  #turned = ({ beta, gamma }) => {
    if (beta === null || gamma === null) return; // a device without the sensor
    const [b, g] = [beta, gamma].map((degrees) => (degrees * Math.PI) / 180);
    // gravity across and along the screen; then the screen may be turned itself
    const rolled = (Math.atan2(Math.cos(b) * Math.sin(g), Math.sin(b)) * 180) / Math.PI - (screen.orientation?.angle ?? 0);
    const off = ((((rolled + 45) % 90) + 90) % 90) - 45; // from the nearest edge
    this.line.hidden = false;
    this.line.style.rotate = `${(-off).toFixed(1)}deg`;
    this.line.classList.toggle("flat", Math.abs(off) < LEVEL_DEG);
    this.line.dataset.degrees = off.toFixed(1);
  };
}
