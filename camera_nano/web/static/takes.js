// Takes: four different answers of the model to one look of what is on the screen, to pick from.

import { ask } from "./backend.js";
import { $, make } from "./dom.js";
import { titled } from "./looks.js";
import { reasonOf, toast } from "./toasts.js";

/** @import { TakeHeader, ViewHeader } from "./protocol.js" */

const SAME_EV = 0.05;

export class Takes {
  #look = "";
  #turn = 0;
  #asked = 0;

  /**
   * @param {() => ViewHeader | null} shown what is on the screen
   * @param {(look: string, seed: number | null) => void} pick hears of the choice; null is the usual answer again
   */
  constructor(shown, pick) {
    this.shown = shown;
    this.pick = pick;
    this.dialog = $("takes", HTMLDialogElement);
    this.list = $("takes-list");
    $("takes-more").addEventListener("click", () => this.#fetch(this.#turn + 1));
    $("takes-usual").addEventListener("click", () => this.#done(null));
    this.dialog.addEventListener("close", () => this.#clear());
  }

  /**
   * @param {string} look
   * @param {boolean} isPicked whether one of its takes was picked before
   */
  open(look, isPicked) {
    if (this.dialog.open) return;
    this.#look = look;
    $("takes-title").textContent = `Four takes of ${titled(look)}`;
    $("takes-usual").hidden = !isPicked;
    this.dialog.showModal();
    this.#fetch(0);
  }

  /** @param {number} turn */
  async #fetch(turn) {
    const shown = this.shown();
    if (!shown) return this.dialog.close();
    const asked = ++this.#asked;
    this.#turn = turn;
    this.list.ariaBusy = "true";
    if (!this.list.children.length) this.list.append(...Array.from({ length: 4 }, () => make("div", { className: "take ghost" })));
    try {
      const answer = await ask(`api/takes/${shown.frame_id}/${encodeURIComponent(this.#look)}?strength=${shown.strength}&turn=${turn}`);
      if (!answer.ok) throw new Error(await answer.text());
      const takes = unpack(await answer.arrayBuffer());
      if (asked !== this.#asked) return;
      this.#clear();
      this.list.append(...takes.map((take) => this.#button(take)));
    } catch (error) {
      if (asked !== this.#asked) return;
      this.dialog.close();
      toast("No takes", reasonOf(error), { isError: true });
    }
  }

  /** @param {TakeHeader & { picture: Blob }} take */
  #button({ seed, ev, is_now, picture }) {
    const button = make("button", { type: "button", className: "take", ariaPressed: String(is_now) });
    button.dataset.seed = String(seed);
    const change = `${Math.abs(ev).toFixed(1)} stops ${ev > 0 ? "lighter" : "darker"}`;
    const said = is_now ? "Shown now" : Math.abs(ev) < SAME_EV ? "As light" : change;
    button.append(make("img", { src: URL.createObjectURL(picture), alt: "" }), make("span", { textContent: said }));
    button.addEventListener("click", () => this.#done(seed));
    return button;
  }

  /** @param {number | null} seed */
  #done(seed) {
    this.pick(this.#look, seed);
    this.dialog.close();
  }

  #clear() {
    this.#asked++;
    this.list.ariaBusy = "false";
    for (const image of this.list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    this.list.replaceChildren();
  }
}

/**
 * As a view: the length of the header, the header, the JPEGs.
 * @param {ArrayBuffer} buffer
 */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  /** @type {{ takes: TakeHeader[] }} */
  const { takes } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return takes.map((take) => {
    const [offset, size] = take.jpeg;
    return { ...take, picture: new Blob([new Uint8Array(buffer, 4 + length + offset, size)], { type: "image/jpeg" }) };
  });
}
