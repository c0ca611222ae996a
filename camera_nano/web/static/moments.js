// The moments around a shot, offered for a few seconds: a tap saves that one too.

import { show } from "./backend.js";
import { $, make } from "./dom.js";

/** @import { Moment } from "./protocol.js" */

const SHOWN_MS = 4500; // a little less than the server keeps them

export class Moments {
  #timer = 0;

  /** @param {(moment: { frame_id: number, picture: HTMLElement }) => void} take saves one */
  constructor(take) {
    this.take = take;
    this.box = $("moments");
    this.list = $("moments-list");
  }

  /**
   * Offer these instead of the last.
   * @param {Moment[]} moments
   */
  offer(moments) {
    clearTimeout(this.#timer);
    this.list.replaceChildren(...moments.map((moment) => this.#button(moment)));
    this.box.hidden = moments.length === 0;
    if (moments.length) this.#timer = setTimeout(() => this.offer([]), SHOWN_MS);
  }

  /** @param {Moment} moment */
  #button({ frame_id, offset_ms }) {
    const button = make("button", { type: "button" });
    const when = `${Math.abs(offset_ms / 1000).toFixed(2)} s ${offset_ms < 0 ? "before" : "after"}`;
    button.ariaLabel = `Also take the moment ${when}`;
    button.dataset.frameId = String(frame_id);
    const picture = make("img", { alt: "" });
    show(picture, `api/moments/${frame_id}.jpg`);
    button.append(picture, make("span", { textContent: when }));
    button.addEventListener("click", () => {
      button.remove();
      this.box.hidden = this.list.children.length === 0;
      this.take({ frame_id, picture });
    });
    return button;
  }
}
