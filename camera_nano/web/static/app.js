// The page: joins the stream, the strip of looks and the controls.

import { Connection, isLocal } from "./backend.js";
import { $, tell } from "./dom.js";
import { Finished } from "./finished.js";
import { folds, opensSheets, tour } from "./folds.js";
import { Gallery } from "./gallery.js";
import { Hdr } from "./hdr.js";
import { heldOrKept, listen } from "./keys.js";
import { Lend } from "./lend.js";
import { Level } from "./level.js";
import { Looks, titled } from "./looks.js";
import { Panel } from "./panel.js";
import { Peaking } from "./peaking.js";
import { Age } from "./protocol.js";
import { Settings, showSet } from "./settings.js";
import { SHAPES, shape, wholeOf } from "./shape.js";
import { Shutter } from "./shutter.js";
import { Takes } from "./takes.js";
import { CameraControls, Strength, Tone } from "./tone.js";
import { toast } from "./toasts.js";
import { View } from "./view.js";
import { Words } from "./words.js";
import { Zoom } from "./zoom.js";

/**
 * @import { Send, Status, ViewHeader, ViewMessage } from "./protocol.js"
 * @import { Values } from "./settings.js"
 */

const body = document.body;

/** @type {ViewHeader | null} of the view that is on the screen */
let shown = null;
/** @type {Age | null} */
let viewAge = null;
let isComparing = false;
let isUnfed = false; // nobody lends a camera

/** Whether the view fills the height of a phone; a shape that was chosen is shown whole. */
function fills() {
  return upright.matches && settings.values.fill && !settings.values.aspect;
}

/** @type {Send} */
const send = (message) => connection.send(message);
/** @type {Send} for what changes the session */
const act = (message) => {
  const isSent = connection.act(message);
  if (isSent) body.dataset.settled = "false";
  return isSent;
};
const wish = () => ({ look: looks.chosen, strength: strength.value, controls: tone.on(looks.chosen), isComparing });
const view = new View(wish, (on) => send({ type: "draw", on }));
const settings = new Settings(apply);
const upright = matchMedia("(max-width: 820px) and (orientation: portrait)");
const zoom = new Zoom($("window"), view.frame, { fills, hold: compare, tap: meter });
const peaking = new Peaking(view.view);
const level = new Level();
/** @type {(sends: Send) => Send} a slider is seen before it is sent */
const seen = (sends) => (message) => {
  redraw();
  return sends(message);
};
const strength = new Strength(seen(send));
const tone = new Tone(seen(act));
const cameraControls = new CameraControls(act);
const words = new Words(act);
const finished = new Finished(act);
const lend = new Lend();
const gallery = new Gallery();
const panel = new Panel();
const hdr = new Hdr();
const shutter = new Shutter({ shown: () => hdr.header ?? shown, canvas: view.view, send }, settings);

const looks = new Looks($("strip"), {
  choose(look) {
    send({ type: "choose", look });
    strength.choose(look);
    $("chosen").textContent = $("chosen").title = $("split-name").textContent = titled(look);
    hdr.hide();
    redraw();
  },
  forget: (look) => act({ type: "forget", look }),
  hold: openTakes,
});
const takes = new Takes(() => shown, (look, seed) => {
  act({ type: "take", look, seed });
  looks.choose(look);
});

const connection = new Connection({
  open() {
    send({ type: "draw", on: view.drawing.isOn });
    send({ type: "choose", look: looks.chosen });
    send({ type: "strength", value: strength.value });
    send({ type: "split", on: view.isSplit });
    setState("starting", "Waiting for the camera", "The first picture is on its way.");
  },
  view: show,
  message(message) {
    if (message.type === "status") setStatus(message);
    else if (message.type === "merging") shutter.merging(message);
    else if (message.type === "shot") {
      shutter.saved(message);
      gallery.showLast();
    }
    else if (message.type === "look") {
      words.understood(message);
      looks.chooseSoon(message.name);
    } else if (message.type === "error" && ("asked_frame_id" in message || !words.refused(message))) shutter.failed(message);
  },
  closed() {
    compare(false);
    words.forget();
    shutter.forget();
    view.forget();
    shown = null; // its frame may be of a session that has ended
    setState("offline", "Connection lost", "The page comes back by itself as soon as the camera does.");
  },
});

/** @param {ViewMessage} message */
async function show(message) {
  const header = await view.show(message);
  const tiles = header.draws && message.fields.length ? view.drawing.tiles(header) : message.tiles;
  mark(header);
  viewAge = new Age(header.age_ms);
  shape(view.view, settings.values.aspect);
  await looks.show(header, tiles, view.view);
  if (header.status) setStatus(header.status);
  if (body.dataset.state !== "lost") setState("live");
  hdr.drawn(header);
  shutter.drawn(header);
}

/** Draw the view anew where the page can by itself. */
function redraw() {
  const header = view.redraw();
  if (header) mark(header);
}

/**
 * Note what is on the screen.
 * @param {ViewHeader} header
 */
function mark(header) {
  shown = header;
  peaking.draw();
  const { dataset } = view.view;
  dataset.frameId = String(header.frame_id);
  dataset.proposalId = String(header.proposal_id ?? "");
  dataset.strength = String(header.strength);
  dataset.look = header.look ?? "";
  dataset.drawn = header.draws ? "here" : "there";
  dataset.isAhead = String(header.is_ahead ?? false);
  showBadge();
}

function showBadge() {
  const badge = $("badge");
  badge.hidden = !isComparing || looks.chosen === null;
  badge.textContent = shown?.look === null ? "Original" : "…";
}

/** @param {string} state */
function setState(state, title = "", text = "") {
  body.dataset.state = state;
  tell("notice-title", title);
  tell("notice-text", text);
  shutter.isEnabled = shown !== null && state !== "offline" && state !== "connecting" && !isUnfed;
}

/** @param {Status} status */
function setStatus(status) {
  const isLost = status.camera !== "live";
  isUnfed = status.needs_camera;
  const title = status.needs_camera ? (isLocal ? "The camera is off" : "No camera is lent yet") : "No picture from the camera";
  if (isLost) setState("lost", title, status.camera);
  else if (body.dataset.state === "lost") setState(shown ? "live" : "starting");
  lend.update(status.needs_camera);
  $("camera").textContent = status.source;
  setModel(status.model);
  $("out").textContent = status.out;
  $("phone-app").hidden = !status.has_phone_app;
  if (connection.isCurrent(status)) {
    looks.offer(status.looks, status.seeds);
    tone.update(status);
    cameraControls.update(status.controls);
    finished.update(status);
    body.dataset.settled = "true";
  }
  shutter.room(status.saving);
  panel.update(status, view.drawing.told, viewAge?.ms);
}

/** @param {string} model */
function setModel(model) {
  const isKnown = model === "ready" || model === "loading";
  body.dataset.model = $("model").textContent = isKnown ? model : "failed";
  tell("trouble", isKnown ? "" : `Looks are not available: ${model}. The shutter still saves the original.`);
  $("trouble").hidden = isKnown;
}

/** @param {boolean} on */
function compare(on) {
  if (on === isComparing) return;
  isComparing = on;
  hdr.hide();
  $("compare").ariaPressed = String(on);
  send({ type: "compare", on });
  redraw();
  showBadge();
}

/**
 * Meter at a point of what is shown, 0..1.
 * @param {number} x
 * @param {number} y
 */
function meter(x, y) {
  const ring = $("meter");
  const at = wholeOf(settings.values.aspect, view.view, settings.values.mirror ? 1 - x : x, y);
  if (!lend.lens.meter(...at) && !send({ type: "meter", x: at[0], y: at[1] })) return;
  ring.hidden = false;
  Object.assign(ring.style, { left: `${100 * x}%`, top: `${100 * y}%` });
  ring.getAnimations().forEach((animation) => animation.play());
}

/** @param {string | null} look */
function openTakes(look) {
  if (look === null) toast("Choose a look first", "Takes are different answers to one look.");
  else takes.open(look, looks.isPicked(look));
}

/** @param {boolean} on */
function split(on) {
  view.isSplit = on;
  $("split").ariaPressed = String(on);
  send({ type: "split", on });
  redraw();
  if (on && looks.chosen === null && looks.names.length > 1) looks.choose(looks.names[1]);
}

/**
 * Make the page as its settings are.
 * @param {Values} values
 */
function apply(values) {
  view.hasHistogram = values.histogram;
  view.hasZebra = values.clipping;
  view.zebraPercent = values.zebra;
  view.drawing.where = isLocal ? "here" : values.drawing;
  view.frame.classList.toggle("mirrored", values.mirror);
  shape(view.view, values.aspect);
  peaking.isOn = values.peaking;
  level.show(values.level);
  showSet(values);
}

/** @type {Record<string, () => void>} by key */
const toggles = {
  s: () => split(!view.isSplit),
  h: () => settings.set("histogram", !settings.values.histogram),
  z: () => settings.set("clipping", !settings.values.clipping),
  g: () => gallery.open(),
  i: () => panel.open(),
  l: () => zoom.loupe(),
  t: () => openTakes(looks.chosen),
  p: () => settings.set("peaking", !settings.values.peaking),
  a() {
    settings.set("aspect", SHAPES[(SHAPES.indexOf(settings.values.aspect) + 1) % SHAPES.length]);
    zoom.rest();
  },
  d: () => $("timer").click(),
  f: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
};
/** of the buttons that do what a key does */
const keyOf = { peaking: "p", aspect: "a", fullscreen: "f", "takes-open": "t", loupe: "l", split: "s", "histogram-toggle": "h", zebra: "z" };
for (const [id, key] of Object.entries(keyOf)) $(id).addEventListener("click", toggles[key]);
$("fullscreen").hidden = !document.fullscreenEnabled;
document.addEventListener("fullscreenchange", () => ($("fullscreen").ariaPressed = String(document.fullscreenElement !== null)));
$("fill").addEventListener("click", () => {
  settings.set("fill", !settings.values.fill);
  zoom.rest();
});
opensSheets({ gallery: toggles.g, panel: toggles.i, settings: () => $("settings", HTMLDialogElement).showModal() });
tour(settings);
heldOrKept($("compare"), compare);
folds($("tools-unfold"), $("tools"));
folds($("adjust"), body);
listen({
  isOn: () => settings.values.shortcuts,
  press: () => shutter.press(),
  release: () => shutter.release(),
  compare,
  choose: (index) => index < looks.names.length && looks.choose(looks.names[index]),
  move: (step) => looks.move(step),
  toggle: (letter) => toggles[letter]?.(),
});
apply(settings.values);
setInterval(() => looks.tick(), 250);
