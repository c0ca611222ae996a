// The shutter: a shot at the press, a burst while it is held, and what became of each.

import { $ } from "./dom.js";
import { Interval } from "./interval.js";
import { titled } from "./looks.js";
import { Moments } from "./moments.js";
import { SelfTimer } from "./timer.js";
import { thumbnail, toast } from "./toasts.js";

/**
 * @import { Merging, Refusal, Saving, Send, Shot, ViewHeader } from "./protocol.js"
 * @import { Settings } from "./settings.js"
 */

const HOLD_MS = 450; // longer than a tap
const MOST_PENDING = 12; // a burst waits for the disk
const FEW_SHOTS = 20;

/**
 * @typedef {object} Camera
 * @property {() => ViewHeader | null} shown what is on the screen
 * @property {HTMLCanvasElement} canvas
 * @property {Send} send
 */

export class Shutter {
  /** @type {{ frame_id: number, picture: HTMLElement }[]} presses that are not answered yet */
  #pending = [];
  #lastFrame = -1;
  #isBursting = false;
  #nInBurst = 0;
  #timer = 0;

  /**
   * @param {Camera} camera
   * @param {Settings} settings
   */
  constructor(camera, settings) {
    this.camera = camera;
    this.settings = settings;
    this.button = $("shutter", HTMLButtonElement);
    this.timer = new SelfTimer(settings);
    this.moments = new Moments((moment) => this.shoot(moment));
    this.interval = new Interval(() => this.shoot(), (text) => this.#count(text), settings);
    this.button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.button.setPointerCapture(event.pointerId);
      this.press();
    });
    for (const end of ["pointerup", "pointercancel"]) this.button.addEventListener(end, () => this.release());
    this.button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
    this.button.addEventListener("click", (event) => event.detail === 0 && this.#shootOrWait()); // no pointer did it
    window.addEventListener("blur", () => this.release()); // the key-up would go elsewhere
  }

  /** @param {boolean} on */
  set isEnabled(on) {
    this.button.disabled = !on;
    this.interval.button.disabled = !on && !this.interval.isOn; // what runs can always be stopped
  }

  /** The frame on the screen now; held, every new one until `release`. */
  press() {
    if (!this.#shootOrWait()) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#burst(true), HOLD_MS);
  }

  /** Whether a picture was taken at once. */
  #shootOrWait() {
    return !this.timer.press(() => this.shoot()) && this.shoot();
  }

  release() {
    clearTimeout(this.#timer);
    this.#burst(false);
  }

  /**
   * Ask for what is on the screen; of a moment, its frame instead.
   * @param {{ frame_id: number, picture: HTMLElement }} [moment]
   */
  shoot(moment) {
    const shown = this.camera.shown();
    if (this.button.disabled || !shown) return false;
    const asked = moment?.frame_id ?? shown.frame_id;
    const { look, strength, is_ahead = false } = shown;
    const proposal_id = moment ? null : shown.proposal_id; // what is shown now may not fit a moment before
    if (!this.camera.send({ type: "shoot", frame_id: asked, proposal_id, is_ahead, look, strength, aspect: this.settings.values.aspect })) return false;
    this.#lastFrame = asked;
    this.#pending.push({ frame_id: asked, picture: moment?.picture ?? thumbnail(this.camera.canvas) });
    document.body.classList.add("saving");
    const flash = $("flash");
    flash.classList.remove("on");
    void flash.offsetWidth; // restarts the animation
    flash.classList.add("on");
    if (this.settings.values.sound) click();
    return true;
  }

  /**
   * Called for every view that was drawn: a burst takes each new frame.
   * @param {ViewHeader} header
   */
  drawn(header) {
    if (!this.#isBursting || header.frame_id === this.#lastFrame || this.#pending.length >= MOST_PENDING) return;
    if (this.shoot()) this.#count(String(++this.#nInBurst));
  }

  /** @param {boolean} on */
  #burst(on) {
    if (on === this.#isBursting) return;
    this.#isBursting = on;
    document.body.classList.toggle("bursting", on);
    if (!on) toast("Burst", `${this.#nInBurst} pictures`);
    this.#nInBurst = 1; // the press itself
    this.#count("");
  }

  /** @param {string} text */
  #count(text) {
    $("countdown").textContent = text;
  }

  /**
   * A shot waits for its frames, then they are merged.
   * @param {Merging} merging
   */
  merging({ n, n_wanted }) {
    $("merging").hidden = n_wanted === 1;
    $("merging-text").textContent = `${n_wanted} frames, ${n < n_wanted ? "hold still" : "merging"}`;
    Object.assign($("merging-progress"), { max: n_wanted, value: n });
  }

  /**
   * The server's answer to a press.
   * @param {Shot} shot
   */
  saved(shot) {
    const picture = this.#answered(shot);
    if (this.#isBursting) return;
    const data = { original: shot.original, looks: Object.values(shot.looks).join(" "), shotId: String(shot.shot_id) };
    const title = ["Saved the original", ...Object.keys(shot.looks).map(titled)].join(" and ");
    const nearest = shot.exact ? "" : "; of the nearest frame, as that one was gone";
    const frames = shot.n_merged > 1 ? `, of ${shot.n_merged} frames` : "";
    const light = shot.headroom ? `; light above white ${shot.headroom}` : "";
    toast(title + frames + nearest, [shot.original + light, shot.note].filter(Boolean).join("; "), { picture, data });
    // the server keeps only the moments around the newest shot: while later presses wait for their answers, these are
    // gone before anyone could take one
    if (!this.interval.isOn && !this.#pending.length) this.moments.offer(shot.moments);
  }

  /** @param {Refusal} error */
  failed(error) {
    const isShot = "asked_frame_id" in error;
    if (isShot) this.#answered(error);
    toast(isShot ? "Not saved" : "That did not work", error.message, { isError: true });
  }

  /** The connection is gone, and the answers with it; interval shooting goes on when it is back. */
  forget() {
    const n = this.#pending.length;
    if (n) toast(`Not known whether ${n} ${n === 1 ? "shot was" : "shots were"} saved`, "The gallery shows those that were.", { isError: true });
    this.#pending.length = 0;
    $("merging").hidden = true;
    document.body.classList.remove("saving");
    this.release();
  }

  /**
   * Take the press that an answer belongs to off the list; its picture, if it is still there.
   * @param {{ asked_frame_id: number }} answer
   */
  #answered({ asked_frame_id }) {
    const index = this.#pending.findIndex(({ frame_id }) => frame_id === asked_frame_id);
    const picture = index < 0 ? null : this.#pending.splice(index, 1)[0].picture;
    document.body.classList.toggle("saving", this.#pending.length > 0);
    if (!this.#pending.length) $("merging").hidden = true;
    return picture;
  }

  /**
   * Say before the press what would become of it.
   * @param {Saving} saving
   */
  room({ in_memory, shots_left, trouble }) {
    const room = $("room");
    const isFull = Boolean(trouble) || shots_left === 0;
    let text = "";
    if (trouble) text = `${in_memory} ${in_memory === 1 ? "shot" : "shots"} kept in memory`;
    else if (isFull) text = "No room on the disk";
    else if (shots_left !== null && shots_left < FEW_SHOTS) text = `Room for ${shots_left} more`;
    document.body.classList.toggle("full", isFull);
    room.hidden = !text;
    if (room.textContent !== text) room.textContent = text;
    room.title = trouble ?? "";
  }
}

/** @type {AudioContext | undefined} */
let audio;

/** A short click, made here: no file to load. */
function click() {
  audio ??= new AudioContext();
  const gain = new GainNode(audio, { gain: 0.2 });
  const tone = new OscillatorNode(audio, { type: "square", frequency: 1200 });
  tone.connect(gain).connect(audio.destination);
  gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.05);
  tone.start();
  tone.stop(audio.currentTime + 0.06);
}
