// A thread beside the page that answers one question after the other. Each question is answered or refused: a thread that
// breaks or says nothing is ended, and the next question starts it anew.

import { reasonOf } from "../static/toasts.js";

/**
 * @template Made, Note
 * @typedef {{ made: Made } | { message: string } | { note: Note }} Told an answer, why there is none, or what goes before
 */

/**
 * @template Question, Made, Note
 */
export class Thread {
  /** @type {Worker | null} */
  #worker;
  /** @type {{ resolve: (made: Made) => void, reject: (error: Error) => void, hear?: (note: Note) => void, timer?: number } | null} */
  #asked = null;
  /** @type {Promise<unknown>} the last question */
  #last = Promise.resolve();

  /**
   * @param {URL} url of a module that calls `serve`
   * @param {string} name as people are told: "the model"
   * @param {(note: Note) => void} [hear] is called with its notes
   * @param {(why: string) => void} [onBreak] hears that it broke
   */
  constructor(url, name, hear = () => {}, onBreak = () => {}) {
    this.url = url;
    this.name = name;
    this.hear = hear;
    this.onBreak = onBreak;
    this.#worker = this.#started();
  }

  /**
   * @param {Question} question
   * @param {object} [how]
   * @param {Transferable[]} [how.moved] parts of it that are taken over
   * @param {number} [how.limitMs] how long it may take from its turn on; else as long as it likes
   * @param {(note: Note) => void} [how.hear] is called with notes meanwhile
   * @returns {Promise<Made>}
   * @throws {Error} there is no answer, or none in time
   */
  ask(question, { moved = [], limitMs, hear } = {}) {
    const sent = () => new Promise((/** @type {(made: Made) => void} */ resolve, reject) => {
      this.#worker ??= this.#started();
      this.#worker.postMessage(question, moved);
      const late = () => this.#break(`${this.name} gave no answer and is started anew`);
      this.#asked = { resolve, reject, hear, timer: limitMs && setTimeout(late, limitMs) };
    });
    const answer = this.#last.then(sent);
    this.#last = answer.catch(reasonOf);
    return answer;
  }

  #started() {
    const worker = new Worker(this.url, { type: "module" });
    worker.onmessage = (/** @type {MessageEvent<Told<Made, Note>>} */ { data }) => {
      if ("note" in data) (this.#asked?.hear ?? this.hear)(data.note);
      else if ("made" in data) this.#settled()?.resolve(data.made);
      else this.#settled()?.reject(new Error(data.message));
    };
    worker.onerror = ({ message }) => this.#break(message || `${this.name} did not start`);
    worker.onmessageerror = () => this.#break(`what ${this.name} answered could not be read`);
    return worker;
  }

  /** Who has asked, and hears now. */
  #settled() {
    const asked = this.#asked;
    clearTimeout(asked?.timer);
    this.#asked = null;
    return asked;
  }

  /** @param {string} why */
  #break(why) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#settled()?.reject(new Error(why));
    this.onBreak(why);
  }
}

/**
 * In the thread: answer what is asked.
 * @template Question, Made, Note
 * @param {(question: Question, note: (note: Note) => void) => Promise<Made>} answer
 * @returns {(note: Note) => void} tells the page something that nobody asked for
 */
export function serve(answer) {
  const port = /** @type {{ postMessage: (told: Told<Made, Note>) => void, onmessage: unknown, onmessageerror: unknown }} */ (/** @type {unknown} */ (self));
  const note = (/** @type {Note} */ said) => port.postMessage({ note: said });
  port.onmessage = async (/** @type {MessageEvent<Question>} */ { data }) => {
    try {
      port.postMessage({ made: await answer(data, note) });
    } catch (error) {
      port.postMessage({ message: reasonOf(error) });
    }
  };
  port.onmessageerror = () => port.postMessage({ message: "the browser had no room to hand a picture on" });
  return note;
}
