// The page's own camera as the source: pictures go up one at a time, each when the last was taken.

const WIDTH_PX = 1280;
const QUALITY = 0.9;
const RETRY_MS = 1000;

export class Lend {
  #video = null;
  #canvas = document.createElement("canvas");
  #socket = null;

  constructor() {
    this.box = document.getElementById("lend");
    this.why = document.getElementById("lend-why");
    document.getElementById("lend-start").addEventListener("click", () => this.#start());
  }

  /** Offer it while the session waits for a page's camera. */
  update(needsCamera) {
    this.box.hidden = !needsCamera || this.#video !== null;
  }

  async #start() {
    if (!navigator.mediaDevices) {
      this.why.textContent = "Browsers give pages a camera only over https, or on the device with the camera itself, as localhost.";
      return;
    }
    try {
      const ideal = { facingMode: "environment", width: { ideal: WIDTH_PX }, height: { ideal: 720 } };
      const stream = await navigator.mediaDevices.getUserMedia({ video: ideal, audio: false });
      const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
      await video.play();
      stream.getVideoTracks()[0].addEventListener("ended", () => this.#stop("The camera was taken away."));
      this.#video = video;
      this.box.hidden = true;
      this.#connect();
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      this.why.textContent = denied ? "The browser was not allowed to: permit the camera for this page, then try again." : `No camera here: ${error.message}`;
    }
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new WebSocket(`${scheme}//${location.host}/ws/camera`);
    this.#socket.onmessage = ({ data }) => JSON.parse(data).type === "ready" && this.#next();
    this.#socket.onclose = ({ reason }) => {
      if (this.#video === null) return;
      if (reason) this.#stop(reason);
      else setTimeout(() => this.#video && this.#connect(), RETRY_MS);
    };
  }

  /** Send the newest picture, once there is a new one. */
  #next() {
    const video = this.#video;
    if (video === null) return;
    const send = () => {
      const scale = Math.min(1, WIDTH_PX / video.videoWidth);
      this.#canvas.width = Math.round(video.videoWidth * scale);
      this.#canvas.height = Math.round(video.videoHeight * scale);
      this.#canvas.getContext("2d", { alpha: false }).drawImage(video, 0, 0, this.#canvas.width, this.#canvas.height);
      this.#canvas.toBlob((blob) => blob && this.#socket.readyState === WebSocket.OPEN && this.#socket.send(blob), "image/jpeg", QUALITY);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(send);
    else setTimeout(send, 33);
  }

  #stop(why) {
    for (const track of this.#video?.srcObject.getTracks() ?? []) track.stop();
    this.#video = null;
    this.#socket?.close();
    this.why.textContent = why;
    this.box.hidden = false;
  }
}
