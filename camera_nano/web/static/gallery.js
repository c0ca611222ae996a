// The shots in the folder, of earlier sessions too: to look at, keep, share or delete, one or many.

import { ask, offer, show } from "./backend.js";
import { $, make } from "./dom.js";
import { titled } from "./looks.js";
import { ShotView, coverOf, share } from "./shot.js";
import { reasonOf, toast } from "./toasts.js";

/** @import { ListedShot } from "./protocol.js" */

const AT_ONCE = 60; // more are listed when asked for

export class Gallery {
  /** @type {ListedShot[]} */
  #shots = [];
  /** @type {Set<ListedShot> | null} null while one tap opens a shot */
  #selected = null;
  #nListed = 0;

  constructor() {
    this.gallery = $("gallery", HTMLDialogElement);
    this.shots = $("shots");
    this.last = $("last");
    this.view = new ShotView({ step: (step) => this.#step(step) });
    $("pair-back").addEventListener("click", () => this.#list());
    $("pair-newer").addEventListener("click", () => this.#step(-1));
    $("pair-older").addEventListener("click", () => this.#step(1));
    $("pair-delete").addEventListener("click", () => this.view.shot && this.#delete([this.view.shot]));
    $("gallery-more").addEventListener("click", () => this.#more());
    $("gallery-select").addEventListener("click", () => this.#select(this.#selected === null));
    $("selected-share").addEventListener("click", () => share([...(this.#selected ?? [])]));
    $("selected-share").hidden = !navigator.canShare;
    $("selected-delete").addEventListener("click", () => this.#delete([...(this.#selected ?? [])]));
    this.last.addEventListener("click", () => this.open(true));
    this.gallery.addEventListener("close", () => this.#clear());
    this.gallery.addEventListener("keydown", ({ key }) => {
      if (this.view.shot && key === "ArrowLeft") this.#step(-1);
      if (this.view.shot && key === "ArrowRight") this.#step(1);
    });
    this.showLast();
  }

  /** Fetch the list and show it, or the newest shot itself. */
  async open(isLast = false) {
    if (!this.gallery.open) this.gallery.showModal();
    this.#shots = await this.#fetch("api/shots");
    this.#list();
    if (isLast && this.#shots.length) this.#show(this.#shots[0]);
  }

  /** The newest shot, small, beside the shutter. */
  async showLast() {
    const [shot] = await this.#fetch("api/shots?most=1");
    this.last.hidden = !shot;
    if (!shot) return;
    this.last.dataset.shotId = String(shot.id);
    const image = this.last.querySelector("img");
    if (image) show(image, thumbOf(shot));
  }

  /**
   * @param {string} address
   * @returns {Promise<ListedShot[]>}
   */
  async #fetch(address) {
    try {
      const answer = await ask(address);
      if (!answer.ok) throw new Error(await answer.text());
      return await answer.json();
    } catch (error) {
      if (this.gallery.open) toast("The shots cannot be listed", reasonOf(error), { isError: true });
      return [];
    }
  }

  #clear() {
    this.shots.replaceChildren();
    this.view.clear();
    this.#select(false);
    this.#nListed = 0;
  }

  #list() {
    this.#clear();
    this.shots.hidden = false;
    const n = this.#shots.length;
    $("gallery-note").textContent = n ? `${n} ${n === 1 ? "shot" : "shots"}` : "Nothing shot yet";
    $("gallery-select").hidden = n === 0;
    this.#more();
  }

  #more() {
    const some = this.#shots.slice(this.#nListed, this.#nListed + AT_ONCE);
    this.shots.append(...some.map((shot) => this.#button(shot)));
    this.#nListed += some.length;
    $("gallery-more").hidden = this.#nListed >= this.#shots.length;
  }

  /** @param {ListedShot} shot */
  #button(shot) {
    const button = make("button", { type: "button", className: "shot" });
    button.dataset.shotId = String(shot.id);
    const at = new Date(shot.taken_at);
    const isToday = at.toDateString() === new Date().toDateString();
    const when = isToday ? at.toLocaleTimeString() : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const looks = shot.parts.filter(({ part }) => part !== "original").map(({ part }) => titled(part));
    const text = make("span", { textContent: `${when} · ${looks.join(", ") || titled(null)}` });
    const image = make("img", { alt: "", loading: "lazy" });
    show(image, thumbOf(shot));
    button.append(image, text);
    button.addEventListener("click", () => {
      if (this.#selected === null) return this.#show(shot);
      if (!this.#selected.delete(shot)) this.#selected.add(shot);
      button.ariaPressed = String(this.#selected.has(shot));
      this.#showSelected();
    });
    return button;
  }

  /** @param {boolean} on */
  #select(on) {
    this.#selected = on ? new Set() : null;
    $("gallery-select").ariaPressed = String(on);
    for (const button of this.shots.children) button.ariaPressed = on ? "false" : null;
    this.#showSelected();
  }

  #showSelected() {
    const ids = [...(this.#selected ?? [])].map(({ id }) => `id=${id}`);
    $("selected").hidden = ids.length === 0;
    offer($("selected-save", HTMLAnchorElement), `api/shots.zip?${ids.join("&")}`, "camera-nano.zip");
    $("selected-save").textContent = `Save ${ids.length} as ZIP`;
  }

  /** @param {ListedShot} shot */
  #show(shot) {
    const index = this.#shots.indexOf(shot);
    this.shots.hidden = $("gallery-more").hidden = $("gallery-select").hidden = true;
    $("gallery-note").textContent = `${index + 1} of ${this.#shots.length}`;
    $("pair-newer", HTMLButtonElement).disabled = index === 0;
    $("pair-older", HTMLButtonElement).disabled = index === this.#shots.length - 1;
    this.view.show(shot);
  }

  /** @param {-1 | 1} step */
  #step(step) {
    const next = this.view.shot && this.#shots[this.#shots.indexOf(this.view.shot) + step];
    if (next) this.#show(next);
  }

  /** @param {ListedShot[]} shots */
  async #delete(shots) {
    const names = shots.flatMap(({ parts }) => parts.map(({ name }) => name));
    const what = shots.length === 1 ? names.join(" and ") : `${shots.length} shots, ${names.length} files`;
    if (!confirm(`Delete ${what}? This cannot be undone.`)) return;
    try {
      for (const { id } of shots) {
        const answer = await ask(`api/shots/${id}`, { method: "DELETE" });
        if (!answer.ok) throw new Error(await answer.text());
      }
    } catch (error) {
      toast("Not deleted", reasonOf(error), { isError: true });
    }
    this.showLast();
    await this.open();
  }
}

/** @param {ListedShot} shot */
function thumbOf(shot) {
  return `api/shots/${shot.id}/${encodeURIComponent(coverOf(shot).part)}/thumb`;
}
