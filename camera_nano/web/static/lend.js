// The page's own camera as the source: pictures go up one at a time, each when the last was taken.

import { keepAwake } from "./awake.js";
import { Lender, PICTURE } from "./backend.js";
import { Bracket } from "./bracket.js";
import { $, make } from "./dom.js";
import { Lens } from "./lens.js";
import { reasonOf, toast } from "./toasts.js";

/** @import { Said } from "./bracket.js" */

const LATE_MS = 3000; // browsers do not always say that there is a new picture
const RETRY_MS = 1000;

export class Lend {
  /** @type {HTMLVideoElement | null} */
  #video = null;
  /** @type {MediaStreamTrack | null} what the video shows */
  #track = null;
  /** @type {Lender | null} */
  #lender = null;
  #hasCredit = false;
  #bracket = new Bracket();
  #late = 0;
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
      const stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, ...PICTURE }, audio: false });
      const [track] = stream.getVideoTracks();
      if (asked !== this.#asked) return track.stop(); // stopped, or started anew, while it opened
      this.#track = track;
      this.#bracket.begin(track);
      this.#lender?.say({ type: "camera" });
      const video = make("video", { srcObject: stream, muted: true, playsInline: true });
      await video.play();
      if (asked !== this.#asked) return;
      track.addEventListener("ended", () => this.#stop("The camera was taken away."));
      this.#video = video;
      this.lens.offer(track, await cameras());
      this.lending.hidden = false;
      this.#say("");
      keepAwake("lend", true);
      if (this.#lender === null) this.#lendTo();
      else if (this.#hasCredit) this.#next();
    } catch (error) {
      if (asked !== this.#asked) return;
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      const why = denied ? "The browser was not allowed to: permit the camera for this page, then try again." : `No camera here: ${reasonOf(error)}`;
      this.#stop(why);
    }
  }

  #lendTo() {
    this.#hasCredit = false;
    this.#lender = new Lender({
      ready: (bracketEv) => {
        this.#hasCredit = true;
        this.#expose(bracketEv);
      },
      closed: (reason) => this.#stop(reason),
    });
  }

  /**
   * Take the next picture at an exposure; the view stands still while that is set.
   * @param {number} ev stops against the usual one
   */
  async #expose(ev) {
    /** @type {Said} */
    const cannot = { type: "no_bracket" };
    const said = this.#track && (await this.#bracket.set(this.#track, ev).catch(() => cannot));
    if (said) this.#lender?.say(said);
    this.#next();
  }

  /** Send the newest picture, once there is a new one. */
  #next() {
    const video = this.#video;
    if (video === null || this.#lender === null) return;
    if (!video.requestVideoFrameCallback) return void setTimeout(() => this.#send(video), 33);
    video.requestVideoFrameCallback(() => this.#send(video));
    this.#expect(video, video.getVideoPlaybackQuality().totalVideoFrames);
  }

  /**
   * Send a new picture that the browser has said nothing of, or say that there is none.
   * @param {HTMLVideoElement} video
   * @param {number} nBefore pictures of this video
   */
  #expect(video, nBefore) {
    clearTimeout(this.#late);
    this.#late = setTimeout(() => {
      if (video !== this.#video || !this.#hasCredit) return;
      const isNew = video.getVideoPlaybackQuality().totalVideoFrames > nBefore;
      if (isNew && !document.hidden) return void this.#send(video);
      this.#expect(video, nBefore);
      if (document.hidden) return;
      void video.play().catch(reasonOf); // phones may have paused it while the page was hidden
      toast("The camera gives no new picture", "The view goes on when it does.", { isError: true });
    }, LATE_MS);
  }

  /**
   * Send what a video shows, and ask for another picture where that fails.
   * @param {HTMLVideoElement} video
   */
  async #send(video) {
    const lender = this.#lender;
    if (video !== this.#video || lender === null || !this.#hasCredit) return;
    this.#hasCredit = false;
    try {
      await lender.send(video);
    } catch (error) {
      toast("A picture of the camera is lost", reasonOf(error), { isError: true });
      setTimeout(() => {
        if (lender !== this.#lender) return;
        this.#hasCredit = true;
        this.#next();
      }, RETRY_MS);
    }
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
    this.#lender?.close();
    this.#lender = null;
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
