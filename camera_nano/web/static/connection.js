// The WebSocket: comes back by itself, and asks for nothing while nobody looks.

const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 8000;

export class Connection {
  #socket = null;
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  #owesReady = false;

  /** `on` has open(), view(ArrayBuffer) -> Promise, message(object), closed(). */
  constructor(on) {
    this.on = on;
    document.addEventListener("visibilitychange", () => this.#seen());
    window.addEventListener("online", () => this.#connectNow());
    this.#connect();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Send an object; false when there is no connection. */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#owesReady = false;
    socket.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.on.open();
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.on.message(JSON.parse(data)) : this.#view(data));
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.on.closed();
      this.#timer = setTimeout(() => this.#connect(), this.#retryMs * (0.75 + Math.random() / 2));
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    };
  }

  #connectNow() {
    if (this.#socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.#timer);
    this.#retryMs = FIRST_RETRY_MS;
    this.#connect();
  }

  /** Draw, then ask for the next one; a hidden page draws nothing, and asks when it is seen again. */
  async #view(buffer) {
    const socket = this.#socket;
    try {
      if (!document.hidden) await this.on.view(buffer);
    } finally {
      if (socket === this.#socket) {
        if (document.hidden) this.#owesReady = true;
        else this.send({ type: "ready" });
      }
    }
  }

  #seen() {
    if (document.hidden) return;
    this.#connectNow();
    if (this.#owesReady) {
      this.#owesReady = false;
      this.send({ type: "ready" });
    }
  }
}
