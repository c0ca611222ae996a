// The page: joins the stream, the strip of looks and the controls.

import { Connection } from "./connection.js";
import { listen, whileHeld } from "./keys.js";
import { Looks, titled } from "./looks.js";
import { Age, draw, unpack } from "./protocol.js";
import { thumbnail, toast } from "./toasts.js";

const $ = (id) => document.getElementById(id);
const body = document.body;
const view = $("view");
const shutter = $("shutter");
const strength = $("strength");

let shown = null; // header of the view that is on the screen
let viewAge = null;
let isComparing = false;
const pending = []; // {frame_id, picture} of the presses that are not answered yet

const looks = new Looks($("strip"), (look) => {
  connection.send({ type: "choose", look });
  strength.disabled = look === null;
  $("chosen").textContent = titled(look);
});

const connection = new Connection({
  open() {
    connection.send({ type: "choose", look: looks.chosen });
    connection.send({ type: "strength", value: strength.value / 100 });
    setState("starting", "Waiting for the camera", "The first picture is on its way.");
  },
  view: show,
  message(message) {
    if (message.type === "status") setStatus(message);
    else if (message.type === "shot") saved(message);
    else if (message.type === "error") failed(message);
  },
  closed() {
    compare(false);
    pending.length = 0;
    body.classList.remove("saving");
    setState("offline", "Connection lost", "The page comes back by itself as soon as the camera does.");
  },
});

async function show(buffer) {
  const { header, view: picture, tiles } = unpack(buffer);
  await draw(picture, view);
  shown = header;
  viewAge = new Age(header.age_ms);
  view.dataset.frameId = header.frame_id;
  view.dataset.proposalId = header.proposal_id ?? "";
  view.dataset.look = header.look ?? "";
  document.documentElement.style.setProperty("--aspect", (view.width / view.height).toFixed(4));
  if (header.look === null) looks.copyOriginal(view, header.frame_id, header.age_ms);
  await looks.update(header.look === null ? tiles.filter(({ look }) => look !== null) : tiles);
  for (const { look, age_ms } of tiles) looks.setAge(look, age_ms);
  for (const [look, age] of Object.entries(header.tile_ages)) looks.setAge(look, age);
  showBadge();
  if (header.status) setStatus(header.status);
  if (body.dataset.state !== "lost") setState("live");
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
  shutter.disabled = shown === null || state === "offline" || state === "connecting";
}

function setStatus(status) {
  const isLost = status.camera !== "live";
  if (isLost) setState("lost", "The camera has stopped", status.camera);
  else if (body.dataset.state === "lost") setState(shown ? "live" : "starting");
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
}

function compare(on) {
  if (on === isComparing) return;
  isComparing = on;
  $("compare").ariaPressed = String(on);
  connection.send({ type: "compare", on });
  showBadge();
}

function shoot() {
  if (shutter.disabled || !shown) return;
  const { frame_id, proposal_id, look, strength } = shown;
  if (!connection.send({ type: "shoot", frame_id, proposal_id, look, strength })) return;
  pending.push({ frame_id, picture: thumbnail(view) });
  body.classList.add("saving");
  const flash = $("flash");
  flash.classList.remove("on");
  void flash.offsetWidth; // restarts the animation
  flash.classList.add("on");
}

/** Take the press that an answer belongs to off the list; its picture, if it is still there. */
function answered({ asked_frame_id }) {
  const index = pending.findIndex(({ frame_id }) => frame_id === asked_frame_id);
  const picture = index < 0 ? null : pending.splice(index, 1)[0].picture;
  body.classList.toggle("saving", pending.length > 0);
  return picture;
}

function saved(shot) {
  const picture = answered(shot);
  const others = Object.values(shot.looks).map((name) => `…${name.slice(name.indexOf("_"))}`);
  const detail = [shot.original, ...others].join(" and\u00a0");
  const data = { original: shot.original, looks: Object.values(shot.looks).join(" ") };
  toast("Saved", detail, { picture, data });
}

function failed(error) {
  if ("asked_frame_id" in error) answered(error);
  toast("asked_frame_id" in error ? "Not saved" : "That did not work", error.message, { isError: true });
}

shutter.addEventListener("click", shoot);
strength.addEventListener("input", () => {
  $("strength-value").textContent = `${strength.value} %`;
  strength.style.setProperty("--filled", `${strength.value}%`);
  connection.send({ type: "strength", value: strength.value / 100 });
});
whileHeld($("compare"), compare);
whileHeld(view, compare);
listen({
  shoot,
  compare,
  choose: (index) => index < looks.names.length && looks.choose(looks.names[index]),
  move: (step) => looks.move(step),
});
setInterval(() => {
  looks.tick();
  if (viewAge) $("age").textContent = viewAge.ms > 9999 ? "> 9999" : viewAge.ms;
}, 250);
