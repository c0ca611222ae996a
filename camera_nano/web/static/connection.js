// The WebSocket: comes back by itself, and asks for nothing while nobody looks.

import { socketUrl, unpack } from "./protocol.js";
import { reasonOf } from "./toasts.js";

const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 8000;

/** @import { FromServer, Status, ToServer, ViewMessage } from "./protocol.js" */

/**
 * @typedef {object} Listener
 * @property {() => void} open
 * @property {(view: ViewMessage) => Promise<void>} view resolves when it is drawn
 * @property {(message: FromServer) => void} message
 * @property {() => void} closed
 */

export class Connection {
  /** @type {WebSocket | null} */
  #socket = null;
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  /** @type {ArrayBuffer | null} a view that came while nobody looked */
  #unseen = null;
  #nSent = 0;
  #lastAct = 0;

  /** @param {Listener} on */
  constructor(on) {
    this.on = on;
    document.addEventListener("visibilitychange", () => this.#seen());
    window.addEventListener("online", () => this.#connectNow());
    this.#connect();
  }

  /**
   * Send a message; false when there is no connection.
   * @param {ToServer} message
   */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    this.#nSent++;
    return true;
  }

  /**
   * Send what changes the session.
   * @param {ToServer} message
   */
  act(message) {
    if (!this.send(message)) return false;
    this.#lastAct = this.#nSent;
    return true;
  }

  /**
   * Whether a status knows of the last act; one that does not must not undo what the page shows.
   * @param {Status} status
   */
  isCurrent({ n_done }) {
    return n_done >= this.#lastAct;
  }

  #connect() {
    const socket = new WebSocket(socketUrl("ws"));
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#unseen = null;
    this.#nSent = this.#lastAct = 0; // the server counts anew, too
    socket.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.on.open();
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.on.message(JSON.parse(data)) : this.#view(data));
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.on.closed();
      fetch("api/status").then(({ status }) => status === 401 && location.assign("pair"), () => {});
      this.#timer = setTimeout(() => this.#connect(), this.#retryMs * (0.75 + Math.random() / 2));
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    };
  }

  #connectNow() {
    if (this.#socket?.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.#timer);
    this.#retryMs = FIRST_RETRY_MS;
    this.#connect();
  }

  /**
   * Draw, then ask for the next one; a hidden page draws nothing until it is seen again.
   * @param {ArrayBuffer} buffer
   */
  async #view(buffer) {
    if (document.hidden) {
      this.#unseen = buffer;
      return;
    }
    const socket = this.#socket;
    try {
      await this.on.view(unpack(buffer));
    } catch (error) {
      this.on.message({ type: "error", message: reasonOf(error) });
    } finally {
      if (socket === this.#socket) this.send({ type: "ready" });
    }
  }

  #seen() {
    if (document.hidden) return;
    this.#connectNow();
    const unseen = this.#unseen;
    this.#unseen = null;
    if (unseen) void this.#view(unseen);
  }
}
