// One shot of the gallery: original and look side by side, larger, and on its way elsewhere.

import { ask, offer, show } from "./backend.js";
import { Divider } from "./divider.js";
import { $, make } from "./dom.js";
import { titled } from "./looks.js";
import { reasonOf, toast } from "./toasts.js";
import { Zoom } from "./zoom.js";

/** @import { ListedShot } from "./protocol.js" */

/**
 * The part of a shot that people mean by it: its look, if there is one.
 * @param {ListedShot} shot
 */
export function coverOf({ parts }) {
  return looksOf(parts)[0] ?? parts[0];
}

/** @param {ListedShot} shot */
const picturesOf = ({ id, parts }) => (looksOf(parts).length ? looksOf(parts) : parts.slice(0, 1)).map((each) => ({ id, ...each }));

/** @param {ListedShot["parts"]} parts */
const looksOf = (parts) => parts.filter(({ part }) => part !== "original" && part !== "dng");

/**
 * Hand pictures to the share sheet of this device: the looks of each shot, or its original.
 * @param {ListedShot[]} shots
 */
export async function share(shots) {
  try {
    const files = await Promise.all(
      shots.flatMap(picturesOf).map(async ({ id, part, name }) => {
        const answer = await ask(`api/shots/${id}/${encodeURIComponent(part)}`);
        if (!answer.ok) throw new Error(await answer.text());
        const blob = await answer.blob();
        return new File([blob], name, { type: blob.type });
      }),
    );
    if (!navigator.canShare({ files })) throw new Error("this browser does not share these pictures: save them instead");
    await navigator.share({ files });
  } catch (error) {
    const isDismissed = error instanceof DOMException && error.name === "AbortError";
    if (!isDismissed) toast("Not shared", reasonOf(error), { isError: true });
  }
}

export class ShotView {
  /** @type {ListedShot | null} the one that is looked at */
  shot = null;

  /** @param {{ step: (step: -1 | 1) => void }} on is told to go to the one before or after */
  constructor(on) {
    this.section = $("pair");
    this.original = $("pair-original", HTMLImageElement);
    this.look = $("pair-look", HTMLImageElement);
    this.qr = $("pair-qr-code", HTMLImageElement);
    this.zoom = new Zoom($("pair-frame"), $("pair-picture"), { swipe: on.step });
    this.divider = new Divider($("pair-divider"), $("pair-picture"));
    $("pair-share").addEventListener("click", () => this.shot && share([this.shot]));
    $("pair-phone").addEventListener("click", () => this.#toPhone());
    $("pair-share").hidden = !navigator.canShare;
  }

  /** Pictures that nobody sees are let go. */
  clear() {
    this.shot = null;
    this.section.hidden = true;
    for (const image of [this.original, this.look]) image.removeAttribute("src");
    this.#hideCode();
  }

  /**
   * @param {ListedShot} shot
   * @param {string} [part] which of its looks
   */
  show(shot, part = coverOf(shot).part) {
    const url = (/** @type {string} */ name) => `api/shots/${shot.id}/${encodeURIComponent(name)}`;
    this.shot = shot;
    this.section.hidden = false;
    this.section.classList.toggle("single", part === "original");
    show(this.original, `${url("original")}?inline=1`);
    if (part === "original") this.look.removeAttribute("src");
    else show(this.look, `${url(part)}?inline=1`);
    this.divider.set(50);
    this.zoom.rest();
    this.#hideCode();
    const looks = looksOf(shot.parts);
    $("pair-looks").hidden = looks.length < 2;
    $("pair-looks").replaceChildren(
      ...looks.map((each) => {
        const button = make("button", { type: "button", className: "quiet", textContent: titled(each.part), ariaPressed: String(each.part === part) });
        button.addEventListener("click", () => this.show(shot, each.part));
        return button;
      }),
    );
    $("pair-name").textContent = shot.parts.map(({ name, bytes }) => `${name} (${(bytes / 1e6).toFixed(1)} MB)`).join(" · ");
    $("pair-downloads").replaceChildren(
      ...shot.parts.map((each) => {
        const link = make("a", { className: "quiet", textContent: each.part === "original" ? "Save original" : `Save ${titled(each.part)}` });
        offer(link, url(each.part), each.name);
        return link;
      }),
    );
  }

  /** A code that a phone's camera opens the picture by. */
  async #toPhone() {
    if (!this.shot) return;
    const { part } = coverOf(this.shot);
    try {
      const answer = await ask(`api/shots/${this.shot.id}/${encodeURIComponent(part)}/qr`, { method: "POST" });
      if (!answer.ok) throw new Error(await answer.text());
      this.#hideCode();
      this.qr.src = URL.createObjectURL(await answer.blob());
      $("pair-qr-text").textContent = `Point a phone's camera at it: the picture opens there, for ten minutes. ${answer.headers.get("X-Opens")}`;
      $("pair-qr").hidden = false;
      $("pair-qr").scrollIntoView({ block: "nearest" });
    } catch (error) {
      toast("No code for a phone", reasonOf(error), { isError: true });
    }
  }

  #hideCode() {
    URL.revokeObjectURL(this.qr.src);
    this.qr.removeAttribute("src");
    $("pair-qr").hidden = true;
  }
}
