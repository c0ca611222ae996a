// What the web app does beside the page: photos of the library, and everything kept for use without a network.

import "../static/app.js"; // its buttons are pressed here: they have to work by then
import { $, make } from "../static/dom.js";
import { reasonOf, toast } from "../static/toasts.js";
import { session } from "./backend.js";
import { keepOffline } from "./offline.js";
import { offerPhotos } from "./photos.js";
import { sweep } from "./store.js";

$("lend-stop").textContent = "Stop the camera";
offerPhotos(session);
const text = "It may clear them when this device is short of space: save what you want to keep, or install this page.";
$("settings-form").append(make("p", { id: "kept", className: "small", hidden: true, textContent: text }));
const permission = await navigator.permissions?.query({ name: /** @type {PermissionName} */ ("camera") }).catch(() => null);
if (permission?.state === "granted") $("lend-start").click();
await sweep().catch((error) => toast("Shots cannot be kept", reasonOf(error), { isError: true }));
try {
  await keepOffline();
  document.body.dataset.offline = "ready";
} catch (error) {
  toast("Not kept for use without a network", reasonOf(error), { isError: true });
}
