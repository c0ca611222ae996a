// What the server and the page say to each other; web/messages.py, web/view.py and the session's status are the other end.

import { draw } from "./dom.js";

/**
 * @import { Controls, Ranges } from "./dress.js"
 *
 * @typedef {string | null} Look the name of a look; null is the original
 *
 * What the page says:
 * @typedef {{ type: "ready" }} Ready the last view is on the screen
 * @typedef {{ type: "choose", look: Look }} Choose
 * @typedef {{ type: "strength", value: number }} SetStrength
 * @typedef {{ type: "compare" | "split" | "draw", on: boolean }} Switch `draw`: send frames and fields, the page draws them
 * @typedef {ToneValues & { type: "tone" }} SetTone
 * @typedef {{ type: "words", text: string }} AddLook
 * @typedef {{ type: "forget", look: string }} Forget
 * @typedef {{ type: "take", look: string, seed: number | null }} PickTake null is the usual answer again
 * @typedef {"auto" | "captured" | "finished"} Assume what the frames are taken for; auto lets the model judge
 * @typedef {{ type: "assume", value: Assume }} TakeFor
 * @typedef {{ type: "adjust", control: string, value: number }} Adjust
 * @typedef {{ type: "meter", x: number, y: number }} Meter 0..1 from the left and the top of the whole frame
 * @typedef {{ type: "shoot", frame_id: number, proposal_id: number | null, is_ahead: boolean, look: Look, strength: number, aspect: string }} Shoot
 * @typedef {Ready | Choose | SetStrength | Switch | SetTone | AddLook | Forget | PickTake | TakeFor | Adjust | Meter | Shoot} ToServer
 * @typedef {(message: ToServer) => boolean} Send false when there is no connection
 *
 * What the server says:
 * @typedef {StatusMessage | Shot | Merging | Understood | Refusal} FromServer as text; a view comes as bytes
 * @typedef {Status & { type: "status" }} StatusMessage
 * @typedef {{ name: string, words: string | null, controls: Controls }} OfferedLook `words` when it was made of some; before the tone
 * @typedef {{ highlights: number, shadows: number }} ToneValues in stops
 * @typedef {{ frame_id: number, offset_ms: number }} Moment a frame near that of a shot
 * @typedef {{ type: "merging", asked_frame_id: number, n: number, n_wanted: number }} Merging how many frames of a shot are there
 * @typedef {{ type: "look", name: string, parts: [words: string, effect: string][] }} Understood
 * @typedef {{ type: "error", message: string }} Mistake
 * @typedef {{ type: "error", message: string, asked_frame_id: number }} NotSaved
 * @typedef {Mistake | NotSaved} Refusal
 * @typedef {{ type: "ready", bracket_ev: number } | Mistake} ToLender what it says to a page that lends its camera
 */

/**
 * @typedef {object} Status
 * @property {number} n_done how many messages of this page were done before it was made
 * @property {string} source
 * @property {string} camera "live", or why no picture comes
 * @property {boolean} needs_camera a page has to lend one
 * @property {boolean} has_phone_app the web app that needs no server is at phone/
 * @property {string} model "ready", "loading", or why there are no looks
 * @property {number} camera_fps
 * @property {number} looks_per_s
 * @property {boolean} looks_held_back
 * @property {OfferedLook[]} looks
 * @property {Record<string, number>} seeds of the looks for which a take was picked
 * @property {ToneValues} tone
 * @property {Ranges} ranges of the controls, tone included
 * @property {Assume} assumed
 * @property {boolean} looks_finished the newest frame, so its light was left as it is
 * @property {boolean} is_dark a shot is merged from several frames
 * @property {"measured" | "estimated"} headroom light above white in the looks
 * @property {string | null} bracket_note why the camera takes no darker frames
 * @property {Control[]} controls
 * @property {{ time_ms: number | null, iso: number | null, lux: number | null } | null} exposure of the newest frame
 * @property {string} out the folder that shots go to
 * @property {Saving} saving
 * @property {{ frames_not_proposed: number, views_skipped: number }} dropped
 * @property {{ views: number, tiles: number }} encoded JPEGs made for all pages together, so far
 * @property {{ rss_mb: number | null, cpu_percent: number | null, temperature_c: number | null, throttled: boolean | null }} machine
 * @property {Record<string, { p50_ms: number, p95_ms: number }>} stages
 */

/**
 * @typedef {object} Saving
 * @property {number} pending
 * @property {number} in_memory shots that the disk does not take
 * @property {number | null} shots_left that the disk has room for
 * @property {string | null} trouble
 */

/**
 * @typedef {object} Control something that can be set on the camera
 * @property {"ev" | "exposure_lock" | "autofocus"} name
 * @property {"range" | "switch" | "trigger"} kind
 * @property {number} value stops for a range; 0 or 1 for a switch; 1 while a trigger is at work
 * @property {number} low
 * @property {number} high
 * @property {number} step
 */

/**
 * @typedef {object} Shot the answer to a press, once it is saved
 * @property {"shot"} type
 * @property {number} asked_frame_id
 * @property {boolean} exact whether it is of the frame that was asked for
 * @property {number} shot_id
 * @property {string} original the name of its file
 * @property {Record<string, string>} looks names of files by look
 * @property {number} n_merged frames that its look is made of
 * @property {"measured" | "estimated" | null} headroom light above white in its look
 * @property {string} note why it is of one frame, where more were wanted
 * @property {Moment[]} moments
 */

/**
 * @typedef {object} ListedShot as /api/shots lists them
 * @property {number} id
 * @property {string} taken_at
 * @property {{ part: string, name: string, bytes: number }[]} parts the original first, then its looks
 */

/**
 * @typedef {[offset: number, length: number]} Place of a JPEG, counted from the end of the header
 *
 * @typedef {object} ViewHeader
 * @property {number} frame_id
 * @property {number | null} proposal_id
 * @property {Look} look
 * @property {number} strength
 * @property {boolean} [is_ahead] whether the page shows the look with a tone that the model has not answered yet
 * @property {boolean} draws whether the page is to draw the look itself, of `jpeg` and the fields
 * @property {number} exposed_ev of looks that the page draws, against the frame, in stops; below 0, the frame's codes go on
 *   above white
 * @property {number} age_ms
 * @property {Place} [jpeg] of a server's
 * @property {Place} [before] the original of the same frame
 * @property {(TileHeader & { offset: number, length: number })[]} [tiles]
 * @property {{ look: string, controls: Controls, white_ev: number[], offset: number, length: number }[]} [fields] half floats, when they are new
 * @property {Record<string, number>} tile_ages in milliseconds, by look
 * @property {Status} [status]
 *
 * @typedef {{ seed: number, ev: number, is_now: boolean, jpeg: Place }} TakeHeader an answer; `ev` beside that of now
 * @typedef {{ look: Look, frame_id: number, age_ms: number }} TileHeader
 * @typedef {TileHeader & { paint: (canvas: HTMLCanvasElement) => Promise<void> | void }} Tile
 * @typedef {import("./light.js").Field & { look: string, controls: Controls }} LookField and the controls that it was made for
 * @typedef {{ header: ViewHeader, picture: Blob | HTMLCanvasElement, before: Blob | null, tiles: Tile[], fields: LookField[] }} ViewMessage
 */

/**
 * The address of a WebSocket beside the page, wherever a proxy shows it.
 * @param {string} path
 */
export function socketUrl(path) {
  return new URL(path, location.href).href.replace(/^http/, "ws");
}

const text = new TextDecoder();

/**
 * A view is one binary message: 4-byte big-endian header length, JSON header, JPEGs and fields.
 * @param {ArrayBuffer} buffer
 * @returns {ViewMessage}
 */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  /** @type {ViewHeader} */
  const header = JSON.parse(text.decode(new Uint8Array(buffer, 4, length)));
  /** @param {Place} place */
  const jpeg = ([offset, size]) =>
    new Blob([new Uint8Array(buffer, 4 + length + offset, size)], { type: "image/jpeg" });
  const tiles = (header.tiles ?? []).map((tile) => ({
    ...tile,
    paint: (/** @type {HTMLCanvasElement} */ canvas) => draw(jpeg([tile.offset, tile.length]), canvas),
  }));
  const fields = (header.fields ?? []).map(({ look, controls, white_ev, offset, length: size }) => {
    const start = 4 + length + offset;
    return { look, controls, whiteEv: white_ev, grid: new Uint16Array(buffer.slice(start, start + size)) };
  });
  const before = header.before ? jpeg(header.before) : null;
  return { header, picture: jpeg(header.jpeg ?? [0, 0]), before, tiles, fields };
}

/** An age that was true when its message came, and grows from there. */
export class Age {
  /** @param {number} ms */
  constructor(ms) {
    this.born = performance.now() - ms;
  }

  get ms() {
    return Math.max(0, Math.round(performance.now() - this.born));
  }
}
