// The page's other side, on this device itself: stands in the place of static/backend.js, whose names these are.

import { reasonOf } from "../static/toasts.js";
import { Session } from "./session.js";
import { answer } from "./shots.js";
import { takesOf } from "./takes.js";

/**
 * @import { Listener } from "../static/connection.js"
 * @import { Borrower } from "../static/lender.js"
 * @import { Status, ToServer } from "../static/protocol.js"
 */

export const isLocal = true;
export const session = new Session();

/** What to ask a camera for: what phones give at 30 frames a second. */
export const PICTURE = { width: { ideal: 1920 }, height: { ideal: 1080 } };

export class Connection {
  /** @param {Listener} on */
  constructor(on) {
    this.on = on;
    queueMicrotask(() => session.open(on)); // not before the page has it
  }

  /**
   * Send a message; it is obeyed at once.
   * @param {ToServer} message
   */
  send(message) {
    try {
      session.obey(message);
    } catch (error) {
      const told = { type: /** @type {const} */ ("error"), message: reasonOf(error) };
      queueMicrotask(() => this.on.message(told)); // after the page has noted that it asked
    }
    return true;
  }

  /** @param {ToServer} message */
  act(message) {
    return this.send(message);
  }

  /** @type {(status: Status) => boolean} */
  isCurrent = () => true; // acts are done at once, so a status knows of them
}

let nScenes = 0;

/** Hands the camera's pictures to the session. */
export class Lender {
  #scene = `camera ${++nScenes}`;
  #isOpen = true;

  /** @param {Borrower} on */
  constructor(on) {
    session.begin();
    session.next = () => on.ready(0);
    session.next();
  }

  /** @param {HTMLVideoElement} video */
  async send(video) {
    const atMs = performance.now();
    const bitmap = await createImageBitmap(video);
    if (this.#isOpen) session.take({ bitmap, atMs, scene: this.#scene, file: null });
    else bitmap.close();
  }

  /** What is said of brackets and of another camera means nothing here. */
  say() {}

  close() {
    this.#isOpen = false;
    session.next = null;
    session.begin();
  }
}

const tiles = new Worker(new URL("tiles.js", import.meta.url), { type: "module" });

/**
 * A tile of a picture.
 * @param {Blob} picture
 * @returns {Promise<Blob>}
 */
function tileOf(picture) {
  return new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => (data instanceof Blob ? resolve(data) : reject(new Error(data)));
    tiles.postMessage(picture, [port2]);
  });
}

/**
 * Ask for what is no message.
 * @param {string} path beside the page
 * @param {RequestInit} [options]
 */
export async function ask(path, options) {
  const request = new Request(new URL(path, document.baseURI), options);
  if (path.startsWith("api/shots")) return answer(request, path.replace(/\?.*/, ""), tileOf);
  const [, frameId, look, strength] = /^api\/takes\/(\d+)\/([^/?]+)\?strength=([\d.]+)/.exec(path) ?? [];
  if (look) return takesOf(session, { frameId: Number(frameId), look: decodeURIComponent(look), strength: Number(strength) });
  return new Response("this is not there without a server", { status: 404 });
}

/**
 * Show a picture in an element.
 * @param {HTMLImageElement} image
 * @param {string} path
 */
export async function show(image, path) {
  const found = await ask(path);
  if (!found.ok) return;
  const url = URL.createObjectURL(await found.blob());
  for (const end of ["load", "error"]) image.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
}

/**
 * Let a link save a file.
 * @param {HTMLAnchorElement} link
 * @param {string} path
 * @param {string} name of the file
 */
export function offer(link, path, name) {
  link.href = `#${name}`;
  link.download = name;
  link.addEventListener("click", async (event) => {
    if (link.href.startsWith("blob:")) return;
    event.preventDefault();
    const url = URL.createObjectURL(await (await ask(path)).blob());
    link.href = url;
    link.click();
    link.href = `#${name}`;
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // a download may still be reading it
  });
}
