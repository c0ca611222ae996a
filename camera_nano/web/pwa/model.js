// The model's thread, as the page sees it: one question at a time.

import { make } from "../static/dom.js";
import { reasonOf } from "../static/toasts.js";

/** @import { Answer, FromWorker, Question } from "./worker.js" */

export class Model {
  /** "ready", "loading", or why there are no looks */
  state = make("canvas").getContext("webgl2") ? "loading" : "this browser has no WebGL2, which draws them: use a newer one, or switch it on";
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  /** @type {{ resolve: (answer: Answer) => void, reject: (error: Error) => void } | null} */
  #asked = null;
  /** @type {Promise<unknown>} the last question */
  #last = Promise.resolve();

  /** @param {() => void} onChange hears when it is loaded, or cannot be */
  constructor(onChange) {
    this.#worker.onerror = (event) => this.#fail(event.message || "its thread did not start", onChange);
    this.#worker.onmessage = ({ data }) => {
      /** @type {FromWorker} */
      const message = data;
      if (message.type === "failed") return this.#fail(message.message, onChange);
      if (message.type === "answer") this.#asked?.resolve(message);
      if (message.type === "ready" && this.state === "loading") {
        this.state = "ready";
        onChange();
      }
      if (message.type === "answer") this.#asked = null;
    };
  }

  /**
   * The fields of a picture, which is taken over. Questions are answered one after the other.
   * @param {Question} question
   * @returns {Promise<Answer>}
   */
  ask(question) {
    const answer = this.#last.then(
      () =>
        new Promise((resolve, reject) => {
          this.#asked = { resolve, reject };
          this.#worker.postMessage(question, [question.picture]);
        }),
    );
    this.#last = answer.catch(reasonOf);
    return answer;
  }

  /**
   * @param {string} why
   * @param {() => void} onChange
   */
  #fail(why, onChange) {
    if (this.#asked) this.#asked.reject(new Error(why));
    this.#asked = null;
    if (this.state === "ready") return; // of one question: the next may do
    this.state = why;
    onChange();
  }
}
