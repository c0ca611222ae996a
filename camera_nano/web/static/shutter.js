// The shutter: a press, a burst while held, a shot every so often, and the moments around a press.

import { thumbnail, toast } from "./toasts.js";

const HOLD_MS = 450; // longer than a tap
const MOMENTS_MS = 4500; // a little less than the server keeps them
const FEW_SHOTS = 20;

export class Shutter {
  isBursting = false;
  #pending = []; // {frame_id, picture} of the presses that are not answered yet
  #nInBurst = 0;
  #lastInBurst = -1;
  #timer = 0;
  #ticking = 0;
  #awake = null;
  #momentsTimer = 0;

  /** `camera` has shown() -> header or null, canvas, send(message) -> bool; `settings` has sound and interval. */
  constructor(camera, settings) {
    this.camera = camera;
    this.settings = settings;
    this.button = document.getElementById("shutter");
    this.interval = document.getElementById("interval");
    this.moments = document.getElementById("moments");
    this.#hold();
    this.interval.addEventListener("click", () => this.repeat(this.#ticking === 0));
  }

  /** Ask for what is on the screen; of a moment, its frame instead. */
  shoot({ frame_id = null, picture = null } = {}) {
    const shown = this.camera.shown();
    if (this.button.disabled || !shown) return false;
    const asked = frame_id ?? shown.frame_id;
    const { proposal_id, look, strength } = shown;
    if (!this.camera.send({ type: "shoot", frame_id: asked, proposal_id, look, strength })) return false;
    this.#pending.push({ frame_id: asked, picture: picture ?? thumbnail(this.camera.canvas) });
    document.body.classList.add("saving");
    const flash = document.getElementById("flash");
    flash.classList.remove("on");
    void flash.offsetWidth; // restarts the animation
    flash.classList.add("on");
    if (this.settings.values.sound) click();
    return true;
  }

  /** Called for every view that was drawn: a burst takes each new frame. */
  drawn(header) {
    if (!this.isBursting || header.frame_id === this.#lastInBurst || this.#pending.length >= 12) return;
    this.#lastInBurst = header.frame_id;
    if (this.shoot()) this.#nInBurst++;
    this.#count(String(this.#nInBurst));
  }

  #hold() {
    let isHeld = false;
    const start = (event) => {
      if (event.button !== 0) return;
      isHeld = true;
      this.#timer = setTimeout(() => isHeld && this.burst(true), HOLD_MS);
    };
    const end = () => {
      isHeld = false;
      clearTimeout(this.#timer);
      // the click that ends a burst must not be one more shot
      if (this.isBursting) setTimeout(() => this.burst(false));
    };
    this.button.addEventListener("pointerdown", start);
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) this.button.addEventListener(name, end);
    this.button.addEventListener("contextmenu", (event) => event.preventDefault());
    this.button.addEventListener("click", () => !this.isBursting && this.shoot());
  }

  burst(on) {
    if (on === this.isBursting) return;
    this.isBursting = on;
    document.body.classList.toggle("bursting", on);
    if (on) [this.#nInBurst, this.#lastInBurst] = [0, -1];
    else {
      this.#count("");
      toast("Burst", `${this.#nInBurst} pictures`);
    }
  }

  /** A shot now and then every so many seconds, until told to stop. */
  repeat(on) {
    clearInterval(this.#ticking);
    this.#ticking = 0;
    this.interval.ariaPressed = String(on);
    this.#count("");
    this.#awake?.release().catch(() => {});
    this.#awake = null;
    if (!on) return;
    const every = Math.max(1, this.settings.values.interval);
    let due = performance.now();
    // the screen must not go dark: a page that sleeps takes no pictures
    navigator.wakeLock?.request("screen").then((lock) => (this.#awake = lock), () => {});
    const tick = () => {
      const left = due - performance.now();
      if (left <= 0) {
        this.shoot();
        due += 1000 * every;
      }
      this.#count(String(Math.ceil((due - performance.now()) / 1000)));
    };
    tick();
    this.#ticking = setInterval(tick, 200);
  }

  #count(text) {
    document.getElementById("countdown").textContent = text;
  }

  /** The server's answer to a press. */
  saved(shot) {
    const picture = this.#answered(shot);
    const others = Object.values(shot.looks).map((name) => `…${name.slice(name.indexOf("_"))}`);
    const detail = [shot.original, ...others].join(" and\u00a0");
    const data = { original: shot.original, looks: Object.values(shot.looks).join(" "), shotId: shot.shot_id };
    const title = shot.exact === false ? "Saved the nearest frame; that one was gone" : "Saved";
    if (!this.isBursting) toast(title, detail, { picture, data });
    if (!this.isBursting && this.#ticking === 0) this.#offer(shot.moments ?? []);
  }

  failed(error) {
    if ("asked_frame_id" in error) this.#answered(error);
    toast("asked_frame_id" in error ? "Not saved" : "That did not work", error.message, { isError: true });
  }

  /** The connection is gone, and the answers with it. */
  forget() {
    this.#pending.length = 0;
    document.body.classList.remove("saving");
    this.burst(false);
    if (this.#ticking) this.repeat(false);
  }

  /** Take the press that an answer belongs to off the list; its picture, if it is still there. */
  #answered({ asked_frame_id }) {
    const index = this.#pending.findIndex(({ frame_id }) => frame_id === asked_frame_id);
    const picture = index < 0 ? null : this.#pending.splice(index, 1)[0].picture;
    document.body.classList.toggle("saving", this.#pending.length > 0);
    return picture;
  }

  #offer(moments) {
    clearTimeout(this.#momentsTimer);
    this.moments.replaceChildren();
    this.moments.hidden = moments.length === 0;
    for (const { frame_id, offset_ms } of moments) {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const when = `${Math.abs(offset_ms / 1000).toFixed(2)} s ${offset_ms < 0 ? "before" : "after"}`;
      button.ariaLabel = `Also take the moment ${when}`;
      button.dataset.frameId = frame_id;
      const image = Object.assign(new Image(), { src: `/api/moments/${frame_id}.jpg`, alt: "" });
      button.append(image, Object.assign(document.createElement("span"), { textContent: when }));
      button.addEventListener("click", () => {
        this.shoot({ frame_id, picture: image.cloneNode() });
        button.remove();
        this.moments.hidden = this.moments.children.length === 0;
      });
      this.moments.append(button);
    }
    this.#momentsTimer = setTimeout(() => this.#offer([]), moments.length ? MOMENTS_MS : 0);
    if (!moments.length) clearTimeout(this.#momentsTimer);
  }

  /** Say before the press what would become of it. */
  room({ in_memory, shots_left, trouble }) {
    const room = document.getElementById("room");
    let text = "";
    if (trouble) text = `Disk full: ${in_memory} kept in memory`;
    else if (shots_left !== null && shots_left < FEW_SHOTS) text = shots_left ? `Room for ${shots_left} more` : "No room on the disk";
    room.hidden = !text;
    if (room.textContent !== text) room.textContent = text;
    room.title = trouble ?? "";
  }
}

/** A short click, made here: no file to load. */
function click() {
  const audio = (click.audio ??= new AudioContext());
  const gain = new GainNode(audio, { gain: 0.2 });
  const tone = new OscillatorNode(audio, { type: "square", frequency: 1200 });
  tone.connect(gain).connect(audio.destination);
  gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.05);
  tone.start();
  tone.stop(audio.currentTime + 0.06);
}
