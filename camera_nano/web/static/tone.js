// Sliders: strength of the look, tone of all looks, and what the camera lets people set.

import { $, make } from "./dom.js";
import { toned } from "./dress.js";

/**
 * @import { Ranges } from "./dress.js"
 * @import { Control, Look, OfferedLook, Send, Status } from "./protocol.js"
 */

const SAID = { ev: "Exposure", exposure_lock: "Lock exposure", autofocus: "Focus" };

/**
 * Show how far a slider is filled, from its left end or from its middle.
 * @param {HTMLInputElement} input
 */
function fill(input, { fromMiddle = false } = {}) {
  const [value, low, high] = [input.value, input.min, input.max].map(Number);
  const at = (100 * (value - low)) / (high - low);
  input.style.setProperty("--from", fromMiddle ? `${Math.min(at, 50)}%` : "0%");
  input.style.setProperty("--filled", fromMiddle ? `${Math.max(at, 50)}%` : `${at}%`);
}

/** @param {number} number */
function signed(number) {
  return Math.abs(number) < 0.05 ? "0" : `${number > 0 ? "+" : "−"}${Math.abs(number).toFixed(1)}`;
}

const STRENGTHS = "camera-nano-strengths";

/** The strength of each look, which this browser remembers. */
export class Strength {
  /** @type {Record<string, number>} in percent; a look that nobody has set has 100 */
  #kept = {};
  /** @type {Look} */
  #look = null;

  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    this.input = $("strength", HTMLInputElement);
    try {
      this.#kept = JSON.parse(localStorage.getItem(STRENGTHS) ?? "{}");
    } catch {
      // a private window may refuse storage
    }
    this.input.addEventListener("input", () => this.#set());
    this.input.addEventListener("dblclick", () => {
      this.input.value = "100";
      this.#set();
    });
    this.#show();
  }

  get value() {
    return this.input.valueAsNumber / 100;
  }

  /**
   * Show and send that of a look.
   * @param {Look} look
   */
  choose(look) {
    this.#look = look;
    this.input.disabled = look === null;
    const kept = look === null ? 100 : this.#kept[look];
    this.input.value = String(typeof kept === "number" ? kept : 100);
    this.#show();
    this.send({ type: "strength", value: this.value });
  }

  #set() {
    this.#show();
    this.send({ type: "strength", value: this.value });
    if (this.#look === null) return;
    this.#kept[this.#look] = this.input.valueAsNumber;
    try {
      localStorage.setItem(STRENGTHS, JSON.stringify(this.#kept));
    } catch {
      // as above
    }
  }

  #show() {
    $("strength-value").textContent = `${this.input.value} %`;
    fill(this.input);
  }
}

/** Highlights and shadows: of the session, so other pages may move them too. */
export class Tone {
  /** @type {OfferedLook[]} */
  #looks = [];
  /** @type {Ranges} */
  #ranges = {};

  /** @param {Send} send */
  constructor(send) {
    this.highlights = $("highlights", HTMLInputElement);
    this.shadows = $("shadows", HTMLInputElement);
    for (const input of [this.highlights, this.shadows]) {
      const say = () => {
        this.#show();
        send({ type: "tone", ...this.value });
      };
      input.addEventListener("input", say);
      input.addEventListener("dblclick", () => {
        input.value = "0";
        say();
      });
    }
    this.#show();
  }

  get value() {
    return { highlights: this.highlights.valueAsNumber, shadows: this.shadows.valueAsNumber };
  }

  /**
   * The controls of a look with the tone that is set here; null where the look is not known.
   * @param {Look} look
   */
  on(look) {
    const found = this.#looks.find(({ name }) => name === look);
    return found ? toned(found.controls, this.value, this.#ranges) : null;
  }

  /**
   * What the session says.
   * @param {Status} status
   */
  update({ tone: { highlights, shadows }, looks, ranges }) {
    [this.#looks, this.#ranges] = [looks, ranges];
    this.highlights.value = String(highlights);
    this.shadows.value = String(shadows);
    this.#show();
  }

  #show() {
    for (const input of [this.highlights, this.shadows]) {
      $(`${input.id}-value`).textContent = signed(input.valueAsNumber);
      fill(input, { fromMiddle: true });
    }
  }
}

/** Exposure, its lock and focus, where the camera has them. */
export class CameraControls {
  /** @param {Send} send */
  constructor(send) {
    this.box = $("camera-controls");
    this.send = send;
    /** @type {Map<string, (value: number) => void>} by name, what shows a value on the control */
    this.made = new Map();
  }

  /** @param {Control[]} controls */
  update(controls) {
    const names = controls.map(({ name }) => name).join();
    if (names !== [...this.made.keys()].join()) {
      this.box.replaceChildren();
      this.made = new Map(controls.map((control) => [control.name, this.#make(control)]));
    }
    for (const control of controls) this.made.get(control.name)?.(control.value);
  }

  /**
   * @param {string} control
   * @param {number} value
   */
  #say(control, value) {
    this.send({ type: "adjust", control, value });
  }

  /**
   * Build one; what comes back shows a value on it.
   * @param {Control} control
   * @returns {(value: number) => void}
   */
  #make({ name, kind, low, high, step, value }) {
    const text = SAID[name] ?? name;
    if (kind !== "range") {
      const button = make("button", { type: "button", className: "quiet", textContent: text });
      button.dataset.control = name;
      if (kind === "switch") button.ariaPressed = "false";
      button.addEventListener("click", () => {
        const on = kind === "trigger" || button.ariaPressed !== "true";
        if (kind === "switch") button.ariaPressed = String(on);
        this.#say(name, Number(on));
      });
      this.box.append(button);
      return (now) => {
        if (kind === "switch") button.ariaPressed = String(now >= 0.5);
        else button.classList.toggle("busy", now >= 0.5);
      };
    }
    const row = make("div", { className: "slider" });
    const id = `control-${name}`;
    const label = make("label", { htmlFor: id, textContent: text });
    const output = make("output");
    output.htmlFor = id;
    const [min, max] = [low, high].map(String);
    const input = make("input", { id, type: "range", min, max, step: String(step), value: String(value) });
    const show = () => {
      output.textContent = signed(input.valueAsNumber);
      fill(input, { fromMiddle: low < 0 });
    };
    input.addEventListener("input", () => {
      show();
      this.#say(name, input.valueAsNumber);
    });
    input.addEventListener("dblclick", () => {
      input.value = "0";
      show();
      this.#say(name, 0);
    });
    row.append(label, output, input);
    this.box.prepend(row);
    show();
    return (now) => {
      input.value = String(now);
      show();
    };
  }
}
