// The page's own camera as the source: pictures go up one at a time, each when the last was taken.

import { keepAwake } from "./awake.js";
import { Bracket } from "./bracket.js";
import { $, make, pen } from "./dom.js";
import { Lens } from "./lens.js";
import { socketUrl } from "./protocol.js";
import { reasonOf, toast } from "./toasts.js";

/** @import { ToLender } from "./protocol.js" */

const WIDTH_PX = 1280;
const QUALITY = 0.9;
const RETRY_MS = 1000;
const BUSY = 1013; // WebSocket close codes, IANA registry

export class Lend {
  /** @type {HTMLVideoElement | null} */
  #video = null;
  /** @type {MediaStreamTrack | null} what the video shows */
  #track = null;
  #canvas = make("canvas");
  /** @type {WebSocket | null} */
  #socket = null;
  #hasCredit = false;
  #bracket = new Bracket();
  #asked = 0; // counts starts and stops: what a start waited for may not be wanted any more

  constructor() {
    this.lend = $("lend");
    this.why = $("lend-why");
    this.lending = $("lending");
    this.lens = new Lens((deviceId) => this.#start(deviceId));
    $("lend-start").addEventListener("click", () => this.#start());
    $("lend-stop").addEventListener("click", () => this.#stop(""));
  }

  /**
   * Offer it while the session waits for a page's camera.
   * @param {boolean} needsCamera
   */
  update(needsCamera) {
    this.lend.hidden = !needsCamera || this.#video !== null;
  }

  /**
   * Lend a camera; without one named, the one that looks away from the screen.
   * @param {string} [deviceId]
   */
  async #start(deviceId) {
    if (!navigator.mediaDevices) {
      this.#say("Browsers give pages a camera only over https, or on the device with the camera itself, as localhost.");
      return;
    }
    this.#letGo(); // phones open one at a time
    const asked = ++this.#asked;
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
    try {
      const wish = { ...which, width: { ideal: WIDTH_PX }, height: { ideal: 720 } };
      const stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
      const [track] = stream.getVideoTracks();
      if (asked !== this.#asked) return track.stop(); // stopped, or started anew, while it opened
      this.#track = track;
      this.#bracket.begin(track);
      this.#tell({ type: "camera" });
      const video = make("video", { srcObject: stream, muted: true, playsInline: true });
      await video.play();
      if (asked !== this.#asked) return;
      track.addEventListener("ended", () => this.#stop("The camera was taken away."));
      this.#video = video;
      this.lens.offer(track, await cameras());
      this.lending.hidden = false;
      this.#say("");
      keepAwake("lend", true);
      if (this.#socket === null) this.#connect(false);
      else if (this.#hasCredit) this.#next();
    } catch (error) {
      if (asked !== this.#asked) return;
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      const why = denied ? "The browser was not allowed to: permit the camera for this page, then try again." : `No camera here: ${reasonOf(error)}`;
      this.#stop(why);
    }
  }

  /** @param {boolean} isAgain the last connection broke, and the server may not know yet */
  #connect(isAgain) {
    const socket = new WebSocket(socketUrl("ws/camera"));
    this.#socket = socket;
    this.#hasCredit = false;
    socket.onmessage = ({ data }) => {
      /** @type {ToLender} */
      const message = JSON.parse(data);
      if (message.type !== "ready") return;
      isAgain = this.#hasCredit = true;
      this.#expose(message.bracket_ev);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      if (reason && !(code === BUSY && isAgain)) this.#stop(reason);
      else setTimeout(() => socket === this.#socket && this.#connect(isAgain), RETRY_MS);
    };
  }

  /**
   * Take the next picture at an exposure; the view stands still while that is set.
   * @param {number} ev stops against the usual one
   */
  async #expose(ev) {
    /** @type {import("./bracket.js").Said} */
    const cannot = { type: "no_bracket" };
    const said = this.#track && (await this.#bracket.set(this.#track, ev).catch(() => cannot));
    if (said) this.#tell(said);
    this.#next();
  }

  /** @param {import("./bracket.js").Said} said */
  #tell(said) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(said));
  }

  /** Send the newest picture, once there is a new one. */
  #next() {
    const video = this.#video;
    const socket = this.#socket;
    if (video === null || socket === null) return;
    const send = () => {
      if (video !== this.#video || socket !== this.#socket || !this.#hasCredit) return;
      this.#hasCredit = false;
      const scale = Math.min(1, WIDTH_PX / video.videoWidth);
      this.#canvas.width = Math.round(video.videoWidth * scale);
      this.#canvas.height = Math.round(video.videoHeight * scale);
      pen(this.#canvas, { alpha: false }).drawImage(video, 0, 0, this.#canvas.width, this.#canvas.height);
      this.#canvas.toBlob((blob) => blob && socket.readyState === WebSocket.OPEN && socket.send(blob), "image/jpeg", QUALITY);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(send);
    else setTimeout(send, 33);
  }

  #letGo() {
    this.#track?.stop();
    this.lens.letGo();
    this.#track = this.#video = null;
  }

  /** @param {string} why */
  #stop(why) {
    this.#asked++;
    this.#letGo();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    keepAwake("lend", false);
    this.lending.hidden = true;
    this.#say(why);
  }

  /** @param {string} why */
  #say(why) {
    this.why.textContent = why;
    if (why && this.lend.hidden) toast("This camera is not lent", why, { isError: true });
  }
}

async function cameras() {
  return (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
}
