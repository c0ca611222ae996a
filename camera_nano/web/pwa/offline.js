// The app without a network: registers the service worker, and says when a new version is there.

import { $, make } from "../static/dom.js";
import { sha256 } from "./bytes.js";

const ROOT = new URL("../", import.meta.url);

/**
 * Keep this app for use without a network, and look for a new version, which is taken when somebody asks for it, or when no
 * page of the old one is open any more. Resolves once a version is kept whole; without a network that is the one before.
 * @param {() => void} [onNew] hears that a new version waits; by default the page says so
 * @throws {Error} this browser keeps none, or the new version is not whole
 */
export async function keepOffline(onNew = sayNew) {
  if (!("serviceWorker" in navigator)) throw new Error("this browser keeps no apps: open it over https, and in no private window");
  const list = await fetch(new URL("files.json", ROOT), { cache: "no-store" }).catch(() => null);
  if (list?.ok) {
    const worker = new URL(`sw.js?${await sha256(await list.arrayBuffer())}`, ROOT);
    const registration = await navigator.serviceWorker.register(worker, { updateViaCache: "none" });
    if (registration.installing) await installed(registration.installing);
    if (registration.waiting && registration.active) onNew(); // at the first visit there is none before it
  }
  await navigator.serviceWorker.ready;
}

/** Let the new version in: the page is loaded again, from it. */
export async function takeNew() {
  const registration = await navigator.serviceWorker.ready;
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  registration.waiting?.postMessage("take");
}

/** @param {ServiceWorker} worker */
async function installed(worker) {
  const isBusy = () => worker.state === "installing" || worker.state === "parsed";
  while (isBusy()) await new Promise((then) => worker.addEventListener("statechange", then, { once: true }));
  if (worker.state === "redundant") throw new Error("this version could not be fetched whole: the app goes on with the one before");
}

function sayNew() {
  const words = make("p");
  words.append(make("strong", { textContent: "A new version is there" }), make("span", { textContent: "The page is loaded again" }));
  const button = make("button", { type: "button", className: "quiet", textContent: "Use it" });
  button.addEventListener("click", takeNew);
  const item = make("div", { className: "toast" });
  item.append(words, button);
  $("toasts").append(item);
}
