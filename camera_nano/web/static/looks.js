// The strip of looks: live tiles, one of them chosen.

import { Age, draw, fit } from "./protocol.js";

const STALE_MS = 2000;
const PLACEHOLDERS = 4;

/** What a look is called on the page; null is the original. */
export function titled(look) {
  if (look === null) return "Original";
  if (look.length <= 3) return look.toUpperCase(); // hdr
  return look.charAt(0).toUpperCase() + look.slice(1).replaceAll(/[-_]/g, " ");
}

export class Looks {
  #tiles = new Map(); // look name, or null for the original -> {button, canvas, label, age}
  chosen = null;

  #wanted = null; // a look that is to be chosen as soon as it is there

  /** `on.choose(look)` and `on.forget(look)` hear of what is done here. */
  constructor(strip, on) {
    this.strip = strip;
    this.on = on;
    this.#add(null);
    for (let i = 0; i < PLACEHOLDERS; i++) {
      const ghost = document.createElement("div");
      ghost.className = "tile ghost";
      ghost.ariaHidden = "true";
      ghost.append(Object.assign(document.createElement("span"), { className: "picture" }));
      strip.append(ghost);
    }
    this.#mark();
  }

  get names() {
    return [...this.#tiles.keys()];
  }

  /** Choose a look by name; null is the original. */
  choose(look) {
    if (!this.#tiles.has(look)) return;
    this.chosen = look;
    this.#mark();
    this.on.choose(look);
  }

  /** Choose a look that is on its way. */
  chooseSoon(look) {
    if (this.#tiles.has(look)) this.choose(look);
    else this.#wanted = look;
  }

  /** What the session offers, in its order: [{name, words}]. Others go. */
  offer(offered) {
    if (!offered?.length) return;
    const names = new Set(offered.map(({ name }) => name));
    for (const [look, { button }] of [...this.#tiles]) {
      if (look === null || names.has(look)) continue;
      button.parentElement.remove();
      this.#tiles.delete(look);
      if (this.chosen === look) this.choose(null);
    }
    for (const { name, words } of offered) if (!this.#tiles.has(name)) this.#add(name, words);
    if (names.has(this.#wanted)) {
      this.choose(this.#wanted);
      this.#wanted = null;
    }
  }

  /** The look `step` places further along the strip. */
  move(step) {
    const names = this.names;
    const next = names[(names.indexOf(this.chosen) + step + names.length) % names.length];
    this.choose(next);
    const { button } = this.#tiles.get(next);
    if (this.strip.contains(document.activeElement)) button.focus();
    button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Draw what came with a view. */
  async update(tiles) {
    if (!tiles.length) return;
    tiles = tiles.filter(({ look }) => this.#tiles.has(look)); // a status says which there are
    for (const ghost of this.strip.querySelectorAll(".ghost")) ghost.remove();
    await Promise.all(
      tiles.map(async ({ look, picture, frame_id }) => {
        const tile = this.#tiles.get(look);
        await draw(picture, tile.canvas);
        tile.button.dataset.frameId = frame_id;
      }),
    );
  }

  /** The original's tile is a small copy of the view whenever that shows the original. */
  copyOriginal(view, frameId, ageMs) {
    const { button, canvas } = this.#tiles.get(null);
    const width = Math.min(400, view.width);
    fit(canvas, width, Math.round((view.height * width) / view.width));
    canvas.getContext("2d", { alpha: false }).drawImage(view, 0, 0, canvas.width, canvas.height);
    button.dataset.frameId = frameId;
    this.setAge(null, ageMs);
  }

  setAge(look, ms) {
    const tile = this.#tiles.get(look);
    if (tile) tile.age = new Age(ms);
  }

  /** Write the ages as they are now. */
  tick() {
    for (const { button, label, age } of this.#tiles.values()) {
      if (!age) continue;
      const stale = age.ms > STALE_MS;
      button.classList.toggle("stale", stale);
      label.textContent = stale ? `stale ${Math.floor(age.ms / 1000)} s` : age.ms < 1000 ? `${age.ms} ms` : `${(age.ms / 1000).toFixed(1)} s`;
    }
  }

  #add(look, words = null) {
    const number = this.#tiles.size;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "tile";
    button.dataset.look = look ?? "";
    button.setAttribute("role", "radio");
    button.ariaLabel = titled(look);
    if (number <= 9) button.setAttribute("aria-keyshortcuts", String(number));
    const canvas = Object.assign(document.createElement("canvas"), { width: 400, height: 225 });
    canvas.ariaHidden = "true";
    const make = (tag, className, text = "") =>
      Object.assign(document.createElement(tag), { className, textContent: text });
    const picture = make("span", "picture");
    picture.append(canvas);
    if (number <= 9) picture.append(make("kbd", "key", String(number)));
    const label = make("span", "age");
    picture.append(label);
    button.append(picture, make("span", "name", titled(look)));
    button.addEventListener("click", () => this.choose(look));
    this.#tiles.set(look, { button, canvas, label, age: null });
    const item = make("div", "item");
    item.append(button);
    if (words !== null) {
      const remove = Object.assign(make("button", "remove", "✕"), { type: "button", ariaLabel: `Remove ${titled(look)}` });
      remove.addEventListener("click", () => this.on.forget(look));
      button.title = words;
      item.append(remove);
    }
    this.strip.insertBefore(item, this.strip.querySelector(".ghost"));
    this.#mark();
  }

  #mark() {
    for (const [look, { button }] of this.#tiles) {
      button.ariaChecked = String(look === this.chosen);
      button.tabIndex = look === this.chosen ? 0 : -1;
    }
  }
}
