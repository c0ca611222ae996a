// The page: joins the stream, the strip of looks and the controls.

import { Connection, isLocal } from "./backend.js";
import { $ } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Hdr } from "./hdr.js";
import { heldOrKept, listen } from "./keys.js";
import { Lend } from "./lend.js";
import { Level } from "./level.js";
import { Looks, titled } from "./looks.js";
import { Panel } from "./panel.js";
import { Peaking } from "./peaking.js";
import { Age } from "./protocol.js";
import { Settings } from "./settings.js";
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
const wish = () => ({ look: looks.chosen, strength: strength.value, isComparing });
const view = new View(wish, (on) => send({ type: "draw", on }));
const settings = new Settings(apply);
const upright = matchMedia("(max-width: 820px) and (orientation: portrait)");
const zoom = new Zoom($("window"), view.frame, { fills, hold: compare, tap: meter });
const peaking = new Peaking(view.view);
const level = new Level();
const strength = new Strength((message) => {
  redraw();
  return send(message);
});
const tone = new Tone(act);
const cameraControls = new CameraControls(act);
const words = new Words(act);
const lend = new Lend();
const gallery = new Gallery();
const panel = new Panel();
const hdr = new Hdr();
const shutter = new Shutter({ shown: () => hdr.header ?? shown, canvas: view.view, send }, settings);

const looks = new Looks($("strip"), {
  choose(look) {
    send({ type: "choose", look });
    strength.choose(look);
    $("chosen").textContent = $("split-name").textContent = titled(look);
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
  const canvas = view.view;
  shape(canvas, settings.values.aspect);
  if (header.look === null) looks.copyOriginal(canvas, header.frame_id, header.age_ms);
  await looks.update(header.look === null ? tiles.filter(({ look }) => look !== null) : tiles);
  for (const { look, age_ms } of tiles) looks.setAge(look, age_ms);
  for (const [look, age] of Object.entries(header.tile_ages)) looks.setAge(look, age);
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
  // not written anew when unchanged: screen readers would say it again
  if ($("notice-title").textContent !== title) $("notice-title").textContent = title;
  if ($("notice-text").textContent !== text) $("notice-text").textContent = text;
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
  const isKnown = status.model === "ready" || status.model === "loading";
  body.dataset.model = isKnown ? status.model : "failed";
  $("model").textContent = isKnown ? status.model : "failed";
  const trouble = isKnown ? "" : `Looks are not available: ${status.model}. The shutter still saves the original.`;
  if ($("trouble").textContent !== trouble) $("trouble").textContent = trouble;
  $("trouble").hidden = isKnown;
  $("out").textContent = status.out;
  if (connection.isCurrent(status)) {
    looks.offer(status.looks, status.seeds);
    tone.update(status.tone);
    cameraControls.update(status.controls);
    showFinished(status);
    body.dataset.settled = "true";
  }
  shutter.room(status.saving);
  panel.update(status, view.drawing.told, viewAge?.ms);
}

/**
 * Say that the light was left as it is, and offer new light; or the way back.
 * @param {Status} status
 */
function showFinished({ looks_finished, assumed }) {
  const isAsked = assumed === "captured";
  $("finished").hidden = !looks_finished && !isAsked;
  const text = isAsked ? "New light for every picture" : "Left as it is: it looks finished";
  if ($("finished-text").textContent === text) return;
  $("finished-text").textContent = text;
  $("finished-change").textContent = isAsked ? "Leave finished ones" : "New light all the same";
  $("finished-change").onclick = () => act({ type: "assume", value: isAsked ? "auto" : "captured" });
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
 * A button that shows and hides what small screens have no room for.
 * @param {HTMLElement} button
 * @param {HTMLElement} folded
 */
function unfolds(button, folded) {
  button.addEventListener("click", () => {
    button.ariaExpanded = String(folded.classList.toggle("unfolded"));
  });
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
  $("histogram-toggle").ariaPressed = String(values.histogram);
  $("zebra").ariaPressed = String(values.clipping);
  peaking.isOn = values.peaking;
  $("peaking").ariaPressed = String(values.peaking);
  $("timer-s").textContent = values.timer ? `${values.timer}` : "";
  $("aspect-name").textContent = values.aspect;
  level.show(values.level);
  shape(view.view, values.aspect);
  $("fill").ariaPressed = String(values.fill);
  $("thirds").hidden = !values.thirds;
  $("interval-s").textContent = String(values.interval);
  view.frame.classList.toggle("mirrored", values.mirror);
  document.documentElement.dataset.theme = values.theme;
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
$("peaking").addEventListener("click", toggles.p);
$("aspect").addEventListener("click", toggles.a);
$("fullscreen").hidden = !document.fullscreenEnabled;
$("fullscreen").addEventListener("click", toggles.f);
document.addEventListener("fullscreenchange", () => ($("fullscreen").ariaPressed = String(document.fullscreenElement !== null)));
$("takes-open").addEventListener("click", toggles.t);
$("loupe").addEventListener("click", toggles.l);
$("fill").addEventListener("click", () => {
  settings.set("fill", !settings.values.fill);
  zoom.rest();
});
$("split").addEventListener("click", toggles.s);
$("histogram-toggle").addEventListener("click", toggles.h);
$("zebra").addEventListener("click", toggles.z);
const opened = { gallery: toggles.g, panel: toggles.i, settings: () => $("settings", HTMLDialogElement).showModal() };
for (const [name, open] of Object.entries(opened)) {
  document.querySelector(`[data-opens=${name}]`)?.addEventListener("click", open);
}
for (const sheet of document.querySelectorAll("dialog")) {
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close()); // beside the sheet
}
$("tour").hidden = settings.values.seenTour;
$("tour-done").addEventListener("click", () => {
  $("tour").hidden = true;
  settings.set("seenTour", true);
});
heldOrKept($("compare"), compare);
unfolds($("tools-unfold"), $("tools"));
unfolds($("adjust"), body);
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
