// The model's thread, as the page sees it.

import { make } from "../static/dom.js";
import { Thread } from "./thread.js";
import { LONGEST_MS } from "./timing.js";

/** @import { Answer, Question } from "./worker.js" */

export class Model {
  /** "ready", "loading", or why there are no looks */
  state = make("canvas").getContext("webgl2") ? "loading" : "this browser has no WebGL2, which draws them: use a newer one, or switch it on";
  /** @type {Thread<Question, Answer, string>} */
  #thread;

  /** @param {() => void} onChange hears when it is loaded, or cannot be */
  constructor(onChange) {
    const told = (/** @type {string} */ state) => {
      if (this.state !== "loading") return; // once loaded, a failure is of one question: the next may do
      this.state = state;
      onChange();
    };
    this.#thread = new Thread(new URL("worker.js", import.meta.url), "the model", told, told);
  }

  /**
   * The fields of a picture, which is taken over. Questions are answered one after the other.
   * @param {Question} question
   * @returns {Promise<Answer>}
   * @throws {Error} there is no answer, or none in time
   */
  ask(question) {
    const limitMs = this.state === "ready" ? LONGEST_MS : undefined; // loading takes as long as the network does
    return this.#thread.ask(question, { moved: [question.picture], limitMs });
  }
}
