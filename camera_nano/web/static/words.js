// Text to look: words in, a look in the strip out, and what the words were understood as.

export class Words {
  #asked = false;

  constructor(send) {
    this.form = document.getElementById("words");
    this.text = document.getElementById("words-text");
    this.answer = document.getElementById("words-answer");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.text.value.trim();
      if (!text) return;
      this.#asked = send({ type: "words", text });
    });
    this.text.addEventListener("input", () => this.#say(""));
  }

  /** The look that came of it. */
  understood({ parts }) {
    this.#asked = false;
    this.text.value = "";
    this.#say(parts.map(([words, effect]) => `${words} → ${effect}`).join("; "));
  }

  /** Whether an error was about the words. */
  refused({ message }) {
    if (!this.#asked) return false;
    this.#asked = false;
    this.#say(message, true);
    return true;
  }

  /** The connection is gone, and the answer with it. */
  forget() {
    this.#asked = false;
  }

  #say(text, isError = false) {
    this.answer.textContent = this.answer.title = text;
    this.answer.classList.toggle("error", isError);
  }
}
