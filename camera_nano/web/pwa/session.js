// The live loop on this device: the newest frame goes to the model when that is ready, and to the page when that is.

import { reasonOf } from "../static/toasts.js";
import { constants } from "./constants.js";
import { Frames } from "./frames.js";
import { Model } from "./model.js";
import { Palette } from "./palette.js";
import { Saver, pressAhead, pressOf } from "./shot.js";
import { Rate, StageTimes, pause, restMs, within } from "./timing.js";
import { drawn, viewOf } from "./views.js";

/**
 * @import { Shoot, Status, ToServer } from "../static/protocol.js"
 * @import { Listener } from "../static/connection.js"
 * @import { Assume } from "./constants.js"
 * @import { EditField } from "./engine.js"
 * @import { Frame } from "./frames.js"
 * @import { Asked } from "./worker.js"
 *
 * @typedef {object} Proposal what the model made of a frame
 * @property {number} id
 * @property {Frame["id"]} frameId
 * @property {number} atMs of that frame
 * @property {Assume} assume
 * @property {Map<string, Made>} looks by name
 * @typedef {{ asked: Asked, field: EditField }} Made
 */

const N_PROPOSALS = 4; // a press may be of the one before
const SHORTEST_MS = 80; // between two proposals
const STATUS_MS = 1000;

export class Session {
  palette = new Palette();
  frames = new Frames();
  times = new StageTimes();
  /** @type {Assume} as people say; "auto" else */
  assumed = "auto";
  /** @type {string} why no picture comes, while none does */
  idle = "Press the button. Pictures stay on this device.";
  /** @type {(() => void) | null} asks the camera for its next picture */
  next = null;
  /** @type {Listener | null} */
  page = null;
  #model = new Model(() => this.#changed());
  #cameraRate = new Rate();
  #editRate = new Rate();
  /** @type {Proposal[]} */
  #proposals = [];
  #nProposed = 0;
  #isProposing = false;
  #isStale = true; // the newest frame has no looks, or others are wanted now
  #isFailing = false; // the model gave no answer the last time
  #isShowing = false;
  #shownFrame = 0;
  #shownProposal = 0;
  #viewMs = 0; // what the last one took
  saver = new Saver();

  /**
   * A page has come.
   * @param {Listener} page
   */
  open(page) {
    this.page = page;
    page.open();
    this.status();
    setInterval(() => this.status(), STATUS_MS);
    document.addEventListener("visibilitychange", () => this.#show());
  }

  /** Show something else from now on: another camera, a photo, or nothing. */
  begin() {
    this.frames.clear();
    this.#proposals.length = 0;
    this.status();
  }

  /**
   * Take in a frame, which is closed in time.
   * @param {Omit<Frame, "id">} frame
   */
  take(frame) {
    this.frames.add(frame);
    if (!frame.file) this.#cameraRate.tick();
    this.#isStale = true;
    void this.#show();
    void this.#propose();
  }

  /** @param {ToServer} message */
  obey(message) {
    switch (message.type) {
      case "tone":
        this.palette.tone = { highlights: message.highlights, shadows: message.shadows };
        return this.#changed();
      case "take":
        this.palette.pick(message.look, message.seed);
        return this.#changed();
      case "assume":
        this.assumed = message.value;
        return this.#changed();
      case "words":
        this.page?.message({ type: "look", ...this.palette.add(message.text) });
        return this.#changed();
      case "forget":
        this.palette.forget(message.look);
        return this.#changed();
      case "shoot":
        return void this.#shoot(message);
      case "meter":
        throw new Error("this camera cannot meter at a point");
      default: // what is chosen, how much of it and what beside is for the page: it draws all looks itself
    }
  }

  #changed() {
    this.#isStale = true;
    this.status();
    void this.#show(); // a photo that has waited for a model that cannot be loaded
    void this.#propose();
  }

  /** @param {number | null} id */
  proposal(id) {
    return this.#proposals.find((proposal) => proposal.id === id) ?? this.#proposals.at(-1) ?? null;
  }

  /**
   * What a frame is taken for: as told; else a camera's is no finished picture, and of a photo the model judges.
   * @param {Frame} frame
   */
  assumeOf({ file }) {
    return this.assumed === "auto" && !file ? "captured" : this.assumed;
  }

  /**
   * Ask the model about a frame, in the size that is shown.
   * @param {Frame} frame
   * @param {Asked[]} asked
   * @param {string} scene as of a question
   */
  async ask(frame, asked, scene) {
    const picture = await within(createImageBitmap(drawn(frame)), "the browser had no picture for the model");
    return this.#model.ask({ picture, asked, assume: this.assumeOf(frame), scene });
  }

  async #propose() {
    const frame = this.frames.newest;
    if (this.#isProposing || !this.#isStale || frame === null || this.#model.state !== "ready") return;
    this.#isProposing = true;
    this.#isStale = false;
    const started = performance.now();
    try {
      const { asked } = this.palette;
      const assume = this.assumeOf(frame);
      const { fields, ms } = await this.ask(frame, asked, frame.file ? "" : frame.scene);
      this.#isFailing = false;
      this.times.add(ms);
      this.#editRate.tick();
      const looks = new Map(asked.map((each, i) => [each.name, { asked: each, field: fields[i] }]));
      if (this.frames.newest?.scene === frame.scene) {
        this.#proposals.push({ id: ++this.#nProposed, frameId: frame.id, atMs: frame.atMs, assume, looks });
        this.#proposals.splice(0, this.#proposals.length - N_PROPOSALS);
      }
      void this.#show();
      const tookMs = performance.now() - started;
      await pause(Math.max(SHORTEST_MS - tookMs, this.#restMs(tookMs)));
    } catch (error) {
      this.#isFailing = this.#isStale = true; // it is tried again
      void this.#show();
      await this.#failed(error);
    } finally {
      this.#isProposing = false;
    }
    void this.#propose();
  }

  /**
   * Tell the page what went wrong, and wait before the next try.
   * @param {unknown} error
   */
  async #failed(error) {
    this.page?.message({ type: "error", message: reasonOf(error) });
    await pause(STATUS_MS);
  }

  /** Show the newest frame and its looks, then ask for the next; a hidden page draws nothing. */
  async #show() {
    const frame = this.frames.newest;
    const proposal = this.proposal(null);
    const isNew = frame !== null && (frame.id !== this.#shownFrame || (proposal?.id ?? 0) !== this.#shownProposal);
    const isEarly = frame?.file && proposal === null && !this.#isFailing && ["ready", "loading"].includes(this.#model.state); // a photo comes with its looks: the page has those of before
    if (this.#isShowing || !isNew || isEarly || this.page === null || document.hidden) return;
    this.#isShowing = true;
    const hasNewFields = proposal !== null && proposal.id !== this.#shownProposal;
    const isNewFrame = frame.id !== this.#shownFrame;
    const before = [this.#shownFrame, this.#shownProposal];
    [this.#shownFrame, this.#shownProposal] = [frame.id, proposal?.id ?? 0];
    try {
      const started = performance.now();
      await within(this.page.view(viewOf(frame, proposal, hasNewFields)), "a picture was not drawn in time");
      this.#viewMs = performance.now() - started;
      this.times.add({ draw: this.#viewMs });
      const rest = this.#restMs(this.#viewMs);
      if (rest) await pause(rest);
    } catch (error) {
      [this.#shownFrame, this.#shownProposal] = before; // it is tried again
      await this.#failed(error);
    } finally {
      this.#isShowing = false;
    }
    if (isNewFrame) this.next?.();
    void this.#show();
  }

  /** @param {number} tookMs */
  #restMs(tookMs) {
    return this.saver.nPending ? restMs(tookMs, this.#viewMs) : 0;
  }

  /** @param {Shoot} asked */
  async #shoot(asked) {
    try {
      const frame = this.frames.get(asked.frame_id);
      if (frame === null) throw new Error("there is no picture to save yet");
      const press = asked.is_ahead ? await pressAhead(this, frame, asked) : pressOf(frame, this.proposal(asked.proposal_id), asked);
      const { shot, original_ms, took_ms } = await this.saver.save(press, asked, frame.id === asked.frame_id);
      if (press.bitmap !== frame.bitmap) press.bitmap.close();
      this.times.add({ "save original": original_ms, "save shot": took_ms });
      this.page?.message(shot);
    } catch (error) {
      await null; // the press is noted first
      this.page?.message({ type: "error", asked_frame_id: asked.frame_id, message: `not saved: ${reasonOf(error)}` });
    }
  }

  /** Tell the page how things are. */
  status() {
    this.page?.message({ type: "status", ...this.#told() });
  }

  /** @returns {Status} */
  #told() {
    const frame = this.frames.newest;
    const proposal = this.proposal(null);
    const isReady = this.#model.state === "ready" && (proposal !== null || frame === null);
    const isOn = frame !== null || this.next !== null;
    return {
      n_done: 0,
      source: frame?.file?.name ?? (isOn ? "this device" : "off"),
      camera: isOn ? "live" : this.idle,
      needs_camera: !isOn,
      has_phone_app: false,
      model: this.#model.state === "ready" ? (isReady ? "ready" : "loading") : this.#model.state,
      camera_fps: this.#cameraRate.perS,
      looks_per_s: this.#editRate.perS,
      looks_held_back: false,
      looks: this.palette.offered,
      seeds: this.palette.seeds,
      tone: this.palette.tone,
      ranges: constants.ranges,
      assumed: this.assumed,
      looks_finished: [...(proposal?.looks.values() ?? [])].some(({ field }) => field.settled >= 0.5),
      is_dark: false,
      headroom: "estimated",
      bracket_note: null,
      controls: [],
      exposure: null,
      out: "this browser's own storage",
      saving: { pending: this.saver.nPending, in_memory: 0, shots_left: null, trouble: null },
      dropped: { frames_not_proposed: 0, views_skipped: 0 },
      encoded: { views: 0, tiles: 0 },
      machine: { rss_mb: null, cpu_percent: null, temperature_c: null, throttled: null },
      stages: this.times.summary,
    };
  }
}
