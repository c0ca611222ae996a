// The page's own camera as the source: pictures go up one at a time, each when the last was taken.

import { keepAwake } from "./awake.js";
import { toast } from "./toasts.js";

const WIDTH_PX = 1280;
const QUALITY = 0.9;
const RETRY_MS = 1000;
const BUSY = 1013; // WebSocket close codes, IANA registry

export class Lend {
  #video = null;
  #canvas = document.createElement("canvas");
  #socket = null;
  #hasCredit = false;
  #deviceId = null;

  constructor() {
    for (const id of ["lend", "lend-why", "lending", "lend-next"]) this[id] = document.getElementById(id);
    document.getElementById("lend-start").addEventListener("click", () => this.#start());
    document.getElementById("lend-stop").addEventListener("click", () => this.#stop(""));
    this["lend-next"].addEventListener("click", () => this.#startNext());
  }

  /** Offer it while the session waits for a page's camera. */
  update(needsCamera) {
    this.lend.hidden = !needsCamera || this.#video !== null;
  }

  /** Lend a camera; without one named, the one that looks away from the screen. */
  async #start(deviceId = null) {
    if (!navigator.mediaDevices) {
      this.#say("Browsers give pages a camera only over https, or on the device with the camera itself, as localhost.");
      return;
    }
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
    try {
      const wish = { ...which, width: { ideal: WIDTH_PX }, height: { ideal: 720 } };
      const stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
      const [track] = stream.getVideoTracks();
      const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
      await video.play();
      track.addEventListener("ended", () => this.#stop("The camera was taken away."));
      this.#video = video;
      this.#deviceId = track.getSettings().deviceId;
      this["lend-next"].hidden = (await cameras()).length < 2; // only told once one is allowed
      this.lending.hidden = false;
      this.#say("");
      keepAwake("lend", true);
      if (this.#socket === null) this.#connect(false);
      else if (this.#hasCredit) this.#next();
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      const why = denied ? "The browser was not allowed to: permit the camera for this page, then try again." : `No camera here: ${error.message}`;
      this.#stop(why);
    }
  }

  /** The camera after this one: front, back, or another lens. */
  async #startNext() {
    const ids = (await cameras()).map(({ deviceId }) => deviceId);
    const next = ids[(ids.indexOf(this.#deviceId) + 1) % ids.length];
    this.#letGo(); // phones open one at a time
    await this.#start(next);
  }

  /** `isAgain`: the last connection broke, and the server may not know yet. */
  #connect(isAgain) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/camera`);
    this.#socket = socket;
    this.#hasCredit = false;
    socket.onmessage = ({ data }) => {
      if (JSON.parse(data).type !== "ready") return;
      isAgain = this.#hasCredit = true;
      this.#next();
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      if (reason && !(code === BUSY && isAgain)) this.#stop(reason);
      else setTimeout(() => socket === this.#socket && this.#connect(isAgain), RETRY_MS);
    };
  }

  /** Send the newest picture, once there is a new one. */
  #next() {
    const video = this.#video;
    const socket = this.#socket;
    if (video === null) return;
    const send = () => {
      if (video !== this.#video || socket !== this.#socket) return;
      this.#hasCredit = false;
      const scale = Math.min(1, WIDTH_PX / video.videoWidth);
      this.#canvas.width = Math.round(video.videoWidth * scale);
      this.#canvas.height = Math.round(video.videoHeight * scale);
      this.#canvas.getContext("2d", { alpha: false }).drawImage(video, 0, 0, this.#canvas.width, this.#canvas.height);
      this.#canvas.toBlob((blob) => blob && socket.readyState === WebSocket.OPEN && socket.send(blob), "image/jpeg", QUALITY);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(send);
    else setTimeout(send, 33);
  }

  #letGo() {
    for (const track of this.#video?.srcObject.getTracks() ?? []) track.stop();
    this.#video = null;
  }

  #stop(why) {
    this.#letGo();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    keepAwake("lend", false);
    this.lending.hidden = true;
    this.#say(why);
  }

  #say(why) {
    this["lend-why"].textContent = why;
    if (why && this.lend.hidden) toast("This camera is not lent", why, { isError: true });
  }
}

async function cameras() {
  return (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
}
