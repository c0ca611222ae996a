// Sliders: strength of the look, tone of all looks, and what the camera lets people set.

const SAID = { ev: "Exposure", exposure_lock: "Lock exposure", autofocus: "Focus" };

/** Show how far a slider is filled, from its left end or from its middle. */
function fill(input, { fromMiddle = false } = {}) {
  const at = (100 * (input.value - input.min)) / (input.max - input.min);
  input.style.setProperty("--from", fromMiddle ? `${Math.min(at, 50)}%` : "0%");
  input.style.setProperty("--filled", fromMiddle ? `${Math.max(at, 50)}%` : `${at}%`);
}

function signed(value) {
  const number = Number(value);
  return Math.abs(number) < 0.05 ? "0" : `${number > 0 ? "+" : "−"}${Math.abs(number).toFixed(1)}`;
}

export class Strength {
  constructor(send) {
    this.input = document.getElementById("strength");
    this.input.addEventListener("input", () => {
      this.#show();
      send({ type: "strength", value: this.value });
    });
    this.#show();
  }

  get value() {
    return this.input.value / 100;
  }

  #show() {
    document.getElementById("strength-value").textContent = `${this.input.value} %`;
    fill(this.input);
  }
}

/** Highlights and shadows: of the session, so other pages may move them too. */
export class Tone {
  #touchedAt = 0;

  constructor(send) {
    this.inputs = ["highlights", "shadows"].map((id) => document.getElementById(id));
    for (const input of this.inputs) {
      const say = () => {
        this.#touchedAt = performance.now();
        this.#show();
        const [highlights, shadows] = this.inputs.map(({ value }) => Number(value));
        send({ type: "tone", highlights, shadows });
      };
      input.addEventListener("input", say);
      input.addEventListener("dblclick", () => {
        input.value = 0;
        say();
      });
    }
    this.#show();
  }

  /** What the session says; not under the finger that is moving one. */
  update(tone) {
    if (!tone || performance.now() - this.#touchedAt < 1500) return;
    for (const input of this.inputs) input.value = tone[input.id];
    this.#show();
  }

  #show() {
    for (const input of this.inputs) {
      document.getElementById(`${input.id}-value`).textContent = signed(input.value);
      fill(input, { fromMiddle: true });
    }
  }
}

/** Exposure, its lock and focus, where the camera has them. */
export class CameraControls {
  #touchedAt = 0;

  constructor(send) {
    this.box = document.getElementById("camera-controls");
    this.send = send;
    this.made = new Map();
  }

  update(controls = []) {
    const names = controls.map(({ name }) => name).join();
    if (names !== [...this.made.keys()].join()) {
      this.box.replaceChildren();
      this.made = new Map(controls.map((control) => [control.name, this.#make(control)]));
    }
    if (performance.now() - this.#touchedAt < 1500) return;
    for (const control of controls) this.made.get(control.name)(control.value);
  }

  #say(control, value) {
    this.#touchedAt = performance.now();
    this.send({ type: "adjust", control, value });
  }

  /** Build one; what comes back shows a value on it. */
  #make({ name, kind, low, high, step, value }) {
    const text = SAID[name] ?? name;
    if (kind !== "range") {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: text });
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
    const row = Object.assign(document.createElement("div"), { className: "slider" });
    const id = `control-${name}`;
    const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: text });
    const output = Object.assign(document.createElement("output"), { htmlFor: id });
    const input = Object.assign(document.createElement("input"), { id, type: "range", min: low, max: high, step, value });
    const show = () => {
      output.textContent = signed(input.value);
      fill(input, { fromMiddle: low < 0 });
    };
    input.addEventListener("input", () => {
      show();
      this.#say(name, Number(input.value));
    });
    input.addEventListener("dblclick", () => {
      input.value = 0;
      show();
      this.#say(name, 0);
    });
    row.append(label, output, input);
    this.box.prepend(row);
    show();
    return (now) => {
      input.value = now;
      show();
    };
  }
}
