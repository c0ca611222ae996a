// Tiles of the gallery, made in a thread of their own: a page that draws a view all the time is never idle, and that is what
// Chromium's encoder waits for on a page's own thread, for up to eleven seconds a picture.

import { reasonOf } from "../static/toasts.js";
import { small } from "./shots.js";

self.onmessage = async (/** @type {MessageEvent<Blob>} */ { data, ports: [port] }) => port.postMessage(await small(data).catch(reasonOf));
