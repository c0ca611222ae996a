// The service worker of the web app: after the first visit, all of it comes from here. The build moves this file beside the
// page, since a worker is for what lies beside and below it. Each build has a cache, called by the hash of files.json, which
// the worker's own address ends in; it is filled whole, each file checked by its hash, or the version is not taken. No module:
// not every browser takes one for this.

/** @typedef {Event & { waitUntil: (done: Promise<unknown>) => void }} LifeEvent */
/** @typedef {LifeEvent & { request: Request, respondWith: (answer: Promise<Response>) => void }} FetchEvent */
/** @typedef {{ path: string, sha256: string, bytes: number }} BuiltFile */

const worker = /** @type {any} */ (self);
const SCOPE = new URL("./", location.href).href;
const CACHES = "camera_nano ";
const BUILD = CACHES + location.search.slice(1);
const LIST = "files.json";

worker.addEventListener("install", (/** @type {LifeEvent} */ event) => event.waitUntil(fill()));
worker.addEventListener("activate", (/** @type {LifeEvent} */ event) => event.waitUntil(take()));
worker.addEventListener("message", (/** @type {MessageEvent} */ { data }) => data === "take" && worker.skipWaiting());
worker.addEventListener("fetch", (/** @type {FetchEvent} */ event) => {
  const { url, method } = event.request;
  const path = url.startsWith(SCOPE) ? new URL(url).pathname.slice(new URL(SCOPE).pathname.length) : null;
  if (path === LIST) return; // whether there is a new version is asked of the network
  if (path === null) event.respondWith(Promise.resolve(Response.error())); // no other host, ever
  else if (method === "GET") event.respondWith(kept(path || "index.html"));
});

/** Fetch every file of this build; those that an older one has are not fetched again. */
async function fill() {
  const list = await (await fetch(SCOPE + LIST, { cache: "no-store" })).arrayBuffer();
  if (BUILD !== CACHES + (await sha256(list))) throw new Error("files.json has changed since the page read it: at the next visit");
  /** @type {BuiltFile[]} */
  const files = JSON.parse(new TextDecoder().decode(list));
  const cache = await caches.open(BUILD);
  for (const file of files) {
    const url = SCOPE + file.path;
    const found = (await checked(await caches.match(url), file)) ?? (await checked(await fetch(url, { cache: "no-store" }), file));
    if (!found) throw new Error(`${url} is not the file of this build: the version is not taken`);
    await cache.put(url, found);
  }
}

/**
 * The answer if it holds the bytes of this file, else null.
 * @param {Response | undefined} found
 * @param {BuiltFile} file
 */
async function checked(found, file) {
  if (!found?.ok || found.redirected) return null;
  const data = await found.arrayBuffer();
  const isWhole = data.byteLength === file.bytes && (await sha256(data)) === file.sha256;
  return isWhole ? new Response(data, { headers: { "content-type": found.headers.get("content-type") ?? "" } }) : null;
}

/** Serve the pages that are open, too, and forget older builds. */
async function take() {
  for (const name of await caches.keys()) if (name.startsWith(CACHES) && name !== BUILD) await caches.delete(name);
  await worker.clients.claim();
}

/**
 * A file of this build, and never one of another.
 * @param {string} path
 */
async function kept(path) {
  const found = await (await caches.open(BUILD)).match(SCOPE + decodeURI(path), { ignoreSearch: true });
  return found ?? new Response(`this build has no ${path}`, { status: 404 });
}

/** @param {ArrayBuffer} data */
async function sha256(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
