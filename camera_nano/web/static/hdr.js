// A still of the frame and look on the screen, as a display of high dynamic range shows it.

import { toast } from "./toasts.js";

export class Hdr {
  #asked = 0;

  /** `shown()` is the header of the view on the screen, or null. */
  constructor(shown) {
    this.shown = shown;
    this.button = document.getElementById("hdr");
    this.picture = document.getElementById("hdr-picture");
    this.button.hidden = !matchMedia("(dynamic-range: high)").matches;
    this.button.addEventListener("click", () => (this.button.ariaPressed === "true" ? this.hide() : this.#show()));
  }

  hide() {
    this.#asked++; // an answer on its way is not wanted any more
    this.button.ariaPressed = "false";
    this.picture.hidden = true;
    URL.revokeObjectURL(this.picture.src);
    this.picture.removeAttribute("src");
  }

  async #show() {
    const shown = this.shown();
    if (!shown?.look) {
      toast("Choose a look first", "The original has no more range than the view shows.");
      return;
    }
    const asked = ++this.#asked;
    this.button.ariaPressed = "true";
    const { frame_id, proposal_id, look, strength } = shown;
    try {
      const answer = await fetch(`/api/hdr/${frame_id}/${proposal_id}/${encodeURIComponent(look)}.jpg?strength=${strength}`);
      if (!answer.ok) throw new Error(await answer.text());
      const blob = await answer.blob();
      if (asked !== this.#asked) return;
      this.picture.src = URL.createObjectURL(blob);
      this.picture.hidden = false;
    } catch (error) {
      this.hide();
      toast("No HDR picture", error.message, { isError: true });
    }
  }
}
