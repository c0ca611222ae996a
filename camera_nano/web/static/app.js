// The page: joins the stream, the strip of looks and the controls.

import { Connection } from "./connection.js";
import { Gallery } from "./gallery.js";
import { Hdr } from "./hdr.js";
import { listen, whileHeld } from "./keys.js";
import { Lend } from "./lend.js";
import { Looks, titled } from "./looks.js";
import { Panel } from "./panel.js";
import { Age, unpack } from "./protocol.js";
import { Settings } from "./settings.js";
import { Shutter } from "./shutter.js";
import { CameraControls, Strength, Tone } from "./tone.js";
import { View } from "./view.js";
import { Words } from "./words.js";

const $ = (id) => document.getElementById(id);
const body = document.body;

let shown = null; // header of the view that is on the screen
let viewAge = null;
let isComparing = false;

const send = (message) => connection.send(message);
const view = new View();
const settings = new Settings(apply);
const strength = new Strength(send);
const tone = new Tone(send);
const cameraControls = new CameraControls(send);
const words = new Words(send);
const lend = new Lend();
const gallery = new Gallery();
const panel = new Panel();
const hdr = new Hdr(() => shown);
const shutter = new Shutter({ shown: () => shown, canvas: view.view, send }, settings);

const looks = new Looks($("strip"), {
  choose(look) {
    send({ type: "choose", look });
    strength.input.disabled = look === null;
    $("chosen").textContent = titled(look);
    hdr.hide();
  },
  forget: (look) => send({ type: "forget", look }),
});

const connection = new Connection({
  open() {
    send({ type: "choose", look: looks.chosen });
    send({ type: "strength", value: strength.value });
    send({ type: "split", on: view.isSplit });
    setState("starting", "Waiting for the camera", "The first picture is on its way.");
  },
  view: show,
  message(message) {
    if (message.type === "status") setStatus(message);
    else if (message.type === "shot") shutter.saved(message);
    else if (message.type === "look") {
      words.understood(message);
      looks.chooseSoon(message.name);
    } else if (message.type === "error" && ("asked_frame_id" in message || !words.refused(message))) shutter.failed(message);
  },
  closed() {
    compare(false);
    words.forget();
    shutter.forget();
    shown = null; // its frame may be of a session that has ended
    setState("offline", "Connection lost", "The page comes back by itself as soon as the camera does.");
    fetch("/api/status").then(({ status }) => status === 401 && location.assign("/pair"), () => {});
  },
});

async function show(buffer) {
  const { header, view: picture, before, tiles } = unpack(buffer);
  await view.show(picture, before);
  shown = header;
  viewAge = new Age(header.age_ms);
  const canvas = view.view;
  canvas.dataset.frameId = header.frame_id;
  canvas.dataset.proposalId = header.proposal_id ?? "";
  canvas.dataset.look = header.look ?? "";
  document.documentElement.style.setProperty("--aspect", (canvas.width / canvas.height).toFixed(4));
  if (header.look === null) looks.copyOriginal(canvas, header.frame_id, header.age_ms);
  await looks.update(header.look === null ? tiles.filter(({ look }) => look !== null) : tiles);
  for (const { look, age_ms } of tiles) looks.setAge(look, age_ms);
  for (const [look, age] of Object.entries(header.tile_ages)) looks.setAge(look, age);
  showBadge();
  if (header.status) setStatus(header.status);
  if (body.dataset.state !== "lost") setState("live");
  shutter.drawn(header);
}

function showBadge() {
  const badge = $("badge");
  badge.hidden = !isComparing || looks.chosen === null;
  badge.textContent = shown?.look === null ? "Original" : "…";
}

function setState(state, title = "", text = "") {
  body.dataset.state = state;
  // not written anew when unchanged: screen readers would say it again
  if ($("notice-title").textContent !== title) $("notice-title").textContent = title;
  if ($("notice-text").textContent !== text) $("notice-text").textContent = text;
  shutter.isEnabled = shown !== null && state !== "offline" && state !== "connecting";
}

function setStatus(status) {
  const isLost = status.camera !== "live";
  const title = status.needs_camera ? "No camera is lent yet" : "No picture from the camera";
  if (isLost) setState("lost", title, status.camera);
  else if (body.dataset.state === "lost") setState(shown ? "live" : "starting");
  lend.update(status.needs_camera);
  $("camera").textContent = status.source;
  $("fps").textContent = isLost ? "–" : status.camera_fps.toFixed(0);
  $("rate").textContent = status.looks_per_s.toFixed(1);
  $("held").hidden = !status.looks_held_back;
  const isKnown = status.model === "ready" || status.model === "loading";
  body.dataset.model = isKnown ? status.model : "failed";
  $("model").textContent = isKnown ? status.model : "failed";
  const trouble = isKnown ? "" : `Looks are not available: ${status.model}. The shutter still saves the original.`;
  if ($("trouble").textContent !== trouble) $("trouble").textContent = trouble;
  $("trouble").hidden = isKnown;
  $("out").textContent = status.out;
  looks.offer(status.looks);
  tone.update(status.tone);
  cameraControls.update(status.controls);
  shutter.room(status.saving);
  panel.update(status);
}

function compare(on) {
  if (on === isComparing) return;
  isComparing = on;
  $("compare").ariaPressed = String(on);
  send({ type: "compare", on });
  showBadge();
}

function split(on) {
  view.isSplit = on;
  $("split").ariaPressed = String(on);
  send({ type: "split", on });
  if (on && looks.chosen === null && looks.names.length > 1) looks.choose(looks.names[1]);
}

/** Make the page as its settings are. */
function apply(values) {
  view.hasHistogram = values.histogram;
  view.hasZebra = values.clipping;
  view.zebraPercent = values.zebra;
  $("histogram-toggle").ariaPressed = String(values.histogram);
  $("zebra").ariaPressed = String(values.clipping);
  $("thirds").hidden = !values.thirds;
  $("interval-s").textContent = values.interval;
  view.frame.classList.toggle("mirrored", values.mirror);
  document.documentElement.dataset.theme = values.theme;
}

const toggles = {
  s: () => split(!view.isSplit),
  h: () => settings.set("histogram", !settings.values.histogram),
  z: () => settings.set("clipping", !settings.values.clipping),
  g: () => gallery.open(),
  i: () => panel.open(),
};
$("split").addEventListener("click", toggles.s);
$("histogram-toggle").addEventListener("click", toggles.h);
$("zebra").addEventListener("click", toggles.z);
for (const button of document.querySelectorAll("[data-opens]")) {
  const open = { gallery: toggles.g, panel: toggles.i, settings: () => $("settings").showModal() };
  button.addEventListener("click", open[button.dataset.opens]);
}
for (const sheet of document.querySelectorAll("dialog")) {
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close()); // beside the sheet
}
$("tour").hidden = settings.values.seenTour;
$("tour-done").addEventListener("click", () => {
  $("tour").hidden = true;
  settings.set("seenTour", true);
});
whileHeld($("compare"), compare);
whileHeld(view.view, compare);
listen({
  press: () => shutter.press(),
  release: () => shutter.release(),
  compare,
  choose: (index) => index < looks.names.length && looks.choose(looks.names[index]),
  move: (step) => looks.move(step),
  toggle: (letter) => toggles[letter]?.(),
});
apply(settings.values);
setInterval(() => {
  looks.tick();
  if (viewAge) $("age").textContent = viewAge.ms > 9999 ? "> 9999" : viewAge.ms;
}, 250);
