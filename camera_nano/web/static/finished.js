// Pictures that look finished: their light is left as it is.

import { $ } from "./dom.js";

/** @import { Send, Status } from "./protocol.js" */

export class Finished {
  #act;

  /** @param {Send} act */
  constructor(act) {
    this.#act = act;
  }

  /**
   * Say that the light was left as it is, and offer new light; or the way back.
   * @param {Status} status
   */
  update({ looks_finished, assumed }) {
    const isAsked = assumed === "captured";
    $("finished").hidden = !looks_finished && !isAsked;
    const text = isAsked ? "New light for every picture" : "Left as it is: it looks finished";
    if ($("finished-text").textContent === text) return;
    $("finished-text").textContent = text;
    $("finished-change").textContent = isAsked ? "Leave finished ones" : "New light all the same";
    $("finished-change").onclick = () => this.#act({ type: "assume", value: isAsked ? "auto" : "captured" });
  }
}
