// The view as a display of high dynamic range shows it: Ultra HDR pictures of the frames, one after the other.

import { ask } from "./backend.js";
import { $ } from "./dom.js";
import { reasonOf, toast } from "./toasts.js";

/** @import { ViewHeader } from "./protocol.js" */

export class Hdr {
  /** @type {ViewHeader | null} what is on the screen in place of the view */
  header = null;
  #isOn = false;
  #asked = 0;
  #isBusy = false;

  constructor() {
    this.button = $("hdr");
    this.picture = $("hdr-picture", HTMLImageElement);
    this.button.hidden = !matchMedia("(dynamic-range: high)").matches;
    this.button.addEventListener("click", () => {
      this.hide();
      this.#isOn = this.button.ariaPressed !== "true";
      this.button.ariaPressed = String(this.#isOn);
    });
  }

  /** Show the view itself, until the next picture; for another look, strength or comparison. */
  hide() {
    this.#asked++; // an answer on its way is not wanted any more
    this.#isBusy = false;
    this.#replace(null, "");
  }

  /**
   * Called for every view that was drawn: the newest that there is time for becomes a picture.
   * @param {ViewHeader} header
   */
  async drawn(header) {
    if (!header.look && this.header) this.hide(); // the original has no more range than the view shows
    if (!this.#isOn || this.#isBusy || !header.look) return;
    const asked = ++this.#asked;
    this.#isBusy = true;
    const { frame_id, proposal_id, look, strength } = header;
    try {
      const answer = await ask(`api/hdr/${frame_id}/${proposal_id}/${encodeURIComponent(look)}.jpg?strength=${strength}`);
      if (answer.status === 404) return; // this frame has passed: the next one
      if (!answer.ok) throw new Error(await answer.text());
      const next = new Image();
      next.src = URL.createObjectURL(await answer.blob());
      await next.decode(); // so that the change is one of whole pictures
      if (asked === this.#asked) this.#replace(header, next.src);
      else URL.revokeObjectURL(next.src);
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#isOn = false;
      this.button.ariaPressed = "false";
      this.hide();
      toast("No HDR picture", reasonOf(error), { isError: true });
    } finally {
      if (asked === this.#asked) this.#isBusy = false;
    }
  }

  /**
   * @param {ViewHeader | null} header
   * @param {string} url
   */
  #replace(header, url) {
    URL.revokeObjectURL(this.picture.src);
    this.header = header;
    this.picture.hidden = header === null;
    if (header) this.picture.src = url;
    else this.picture.removeAttribute("src");
    this.picture.dataset.frameId = String(header?.frame_id ?? "");
  }
}
