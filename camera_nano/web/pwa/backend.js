// The page's other side, on this device itself: stands in the place of static/backend.js, whose names these are.

import { make } from "../static/dom.js";
import { reasonOf, toast } from "../static/toasts.js";
import { Session } from "./session.js";
import { answer } from "./shots.js";
import { takesOf } from "./takes.js";
import { Thread } from "./thread.js";
import { within } from "./timing.js";

/**
 * @import { Listener } from "../static/connection.js"
 * @import { Borrower } from "../static/lender.js"
 * @import { Status, ToServer } from "../static/protocol.js"
 * @import { Progress, Tasks } from "./darkroom.js"
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

  /**
   * @param {HTMLVideoElement} video
   * @throws {Error} its picture is not to be had
   */
  async send(video) {
    const atMs = performance.now();
    const bitmap = await within(createImageBitmap(video), "the browser gave no picture of the camera");
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

/** @type {Thread<{ task: keyof Tasks, given: unknown }, any, number>} */
const darkroom = new Thread(new URL("darkroom.js", import.meta.url), "the thread that draws");

/**
 * Have something made in the darkroom.
 * @template {keyof Tasks} Task
 * @param {Task} task
 * @param {Parameters<Tasks[Task]>[0]} given
 * @param {Transferable[]} [moved]
 * @param {Progress} [hear]
 * @returns {ReturnType<Tasks[Task]>}
 */
function made(task, given, moved, hear) {
  return /** @type {ReturnType<Tasks[Task]>} */ (darkroom.ask({ task, given }, { moved, hear }));
}

/**
 * Ask for what is no message.
 * @param {string} path beside the page
 * @param {RequestInit} [options]
 * @param {Progress} [progress]
 */
export async function ask(path, options, progress) {
  const request = new Request(new URL(path, document.baseURI), options);
  const asked = new URL(request.url).searchParams;
  if (path.startsWith("api/shots.zip")) return zipOf(asked.getAll("id").map(Number), progress);
  if (path.startsWith("api/shots")) return answer(request, path.replace(/\?.*/, ""), (picture) => made("tile", picture));
  const [, frameId, look] = /^api\/takes\/(\d+)\/([^/?]+)/.exec(path) ?? [];
  if (!look) return new Response("this is not there without a server", { status: 404 });
  const wanted = { frameId: Number(frameId), look: decodeURIComponent(look), strength: Number(asked.get("strength")) };
  return takesOf(session, wanted, (answers) => made("takes", answers, [answers.picture]));
}

/**
 * @param {number[]} ids
 * @param {Progress} [progress]
 */
async function zipOf(ids, progress) {
  try {
    return new Response(await made("zip", ids, [], progress));
  } catch (error) {
    return new Response(reasonOf(error), { status: 500 });
  }
}

/**
 * Show a picture in an element.
 * @param {HTMLImageElement} image
 * @param {string} path
 */
export async function show(image, path) {
  image.dataset.asked = path;
  const found = await ask(path);
  if (!found.ok || image.dataset.asked !== path) return; // the element may be for another by now
  const url = URL.createObjectURL(await found.blob());
  URL.revokeObjectURL(image.src); // of one that did not come to be loaded
  image.onload = image.onerror = () => URL.revokeObjectURL(url); // listeners would add up: only one of the two is called
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
  link.onclick = async (event) => {
    event.preventDefault();
    if (link.ariaBusy === "true") return;
    link.ariaBusy = "true";
    const found = await ask(path, {}, (share) => (link.dataset.done = `${Math.round(100 * share)} %`));
    link.ariaBusy = null;
    delete link.dataset.done;
    if (!found.ok) return toast("Not saved", await found.text(), { isError: true });
    const url = URL.createObjectURL(await found.blob());
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download may still be reading it
  };
}
