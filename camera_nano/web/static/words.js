// Text to look: words in, a look in the strip out, and what the words were understood as.

import { $, make } from "./dom.js";

/** @import { Refusal, Send, Understood } from "./protocol.js" */

const EXAMPLES = ["warm evening light", "slightly darker", "open shadows", "half golden"];

export class Words {
  #asked = false;

  /** @param {Send} send */
  constructor(send) {
    this.form = $("words", HTMLFormElement);
    this.text = $("words-text", HTMLInputElement);
    this.answer = $("words-answer");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.text.value.trim();
      if (!text) return;
      this.#asked = send({ type: "words", text });
    });
    this.text.addEventListener("input", () => this.#say(""));
    this.examples = $("words-examples");
    this.examples.append("Try ", ...EXAMPLES.map((text) => this.#example(text)));
  }

  /**
   * The look that came of it.
   * @param {Understood} look
   */
  understood({ parts }) {
    this.#asked = false;
    this.text.value = "";
    this.#say(parts.map(([words, effect]) => `${words} → ${effect}`).join("; "));
  }

  /**
   * Whether an error was about the words.
   * @param {Refusal} error
   */
  refused({ message }) {
    if (!this.#asked) return false;
    this.#asked = false;
    this.#say(message.replace(/;? looks are .*/, ""), true); // the strip shows those
    return true;
  }

  /** The connection is gone, and the answer with it. */
  forget() {
    this.#asked = false;
  }

  /** @param {string} text */
  #say(text, isError = false) {
    this.answer.textContent = this.answer.title = text;
    this.answer.classList.toggle("error", isError);
    this.examples.hidden = !isError;
  }

  /** @param {string} text */
  #example(text) {
    const button = make("button", { type: "button", textContent: text });
    button.addEventListener("click", () => {
      this.text.value = text;
      this.form.requestSubmit();
    });
    return button;
  }
}
