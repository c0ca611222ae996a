// The WebSocket by which a page lends its camera: pictures go up one at a time, each when the last was taken.

import { make, pen } from "./dom.js";
import { socketUrl } from "./protocol.js";

/**
 * @import { ToLender } from "./protocol.js"
 * @import { Said } from "./bracket.js"
 *
 * @typedef {object} Borrower
 * @property {(bracketEv: number) => void} ready the next picture may come, at this exposure against the usual one
 * @property {(reason: string) => void} closed it takes no more
 */

const WIDTH_PX = 1280;
const QUALITY = 0.9;
const RETRY_MS = 1000;
const BUSY = 1013; // WebSocket close codes, IANA registry

/** What to ask a camera for. */
export const PICTURE = { width: { ideal: WIDTH_PX }, height: { ideal: 720 } };

export class Lender {
  /** @type {WebSocket | null} */
  #socket = null;
  #canvas = make("canvas");

  /** @param {Borrower} on */
  constructor(on) {
    this.on = on;
    this.#connect(false);
  }

  /**
   * @param {HTMLVideoElement} video shows the picture to send
   * @throws {Error} it cannot be encoded
   */
  async send(video) {
    const scale = Math.min(1, WIDTH_PX / video.videoWidth);
    this.#canvas.width = Math.round(video.videoWidth * scale);
    this.#canvas.height = Math.round(video.videoHeight * scale);
    pen(this.#canvas, { alpha: false }).drawImage(video, 0, 0, this.#canvas.width, this.#canvas.height);
    const socket = this.#socket;
    const blob = await new Promise((/** @type {BlobCallback} */ then) => this.#canvas.toBlob(then, "image/jpeg", QUALITY));
    if (blob === null) throw new Error("the browser had no room to encode it");
    if (socket?.readyState === WebSocket.OPEN) socket.send(blob);
  }

  /** @param {Said} message about the picture that comes next */
  say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** @param {boolean} isAgain the last connection broke, and the server may not know yet */
  #connect(isAgain) {
    const socket = new WebSocket(socketUrl("ws/camera"));
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      /** @type {ToLender} */
      const message = JSON.parse(data);
      if (message.type !== "ready" || socket !== this.#socket) return;
      isAgain = true;
      this.on.ready(message.bracket_ev);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      if (reason && !(code === BUSY && isAgain)) this.on.closed(reason);
      else setTimeout(() => socket === this.#socket && this.#connect(isAgain), RETRY_MS);
    };
  }
}
