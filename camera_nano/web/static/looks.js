// The strip of looks: live tiles, one of them chosen.

import { fit, make, pen } from "./dom.js";
import { onLongPress } from "./keys.js";
import { Age } from "./protocol.js";

/** @import { Look, OfferedLook, Tile, ViewHeader } from "./protocol.js" */

const STALE_MS = 2000;
const PLACEHOLDERS = 4;

/**
 * What a look is called on the page; null is the original.
 * @param {Look} look
 */
export function titled(look) {
  if (look === null) return "Original";
  if (look.length <= 3) return look.toUpperCase(); // hdr
  return look.charAt(0).toUpperCase() + look.slice(1).replaceAll(/[-_]/g, " ");
}

/**
 * What is in the strip for a look.
 * @typedef {{ item: HTMLElement, button: HTMLButtonElement, canvas: HTMLCanvasElement, label: HTMLElement, age: Age | null }} LiveTile
 */

export class Looks {
  /** @type {Map<Look, LiveTile>} */
  #tiles = new Map();
  #original;
  /** @type {Look} */
  chosen = null;

  /** @type {string | null} a look that is to be chosen as soon as it is there */
  #wanted = null;

  /**
   * @param {HTMLElement} strip
   * @param {{ choose: (look: Look) => void, forget: (look: string) => void, hold: (look: string) => void }} on hears of what is done here
   */
  constructor(strip, on) {
    this.strip = strip;
    this.on = on;
    this.#original = this.#add(null);
    for (let i = 0; i < PLACEHOLDERS; i++) {
      const ghost = make("div", { className: "tile ghost", ariaHidden: "true" });
      ghost.append(make("span", { className: "picture" }));
      strip.append(ghost);
    }
    this.#mark();
  }

  get names() {
    return [...this.#tiles.keys()];
  }

  /** @param {string} look whether a take of it was picked */
  isPicked(look) {
    return this.#tiles.get(look)?.button.classList.contains("picked") ?? false;
  }

  /** @param {Look} look */
  choose(look) {
    if (!this.#tiles.has(look)) return;
    this.chosen = look;
    this.#mark();
    this.#tiles.get(look)?.item.scrollIntoView({ block: "nearest", inline: "center" });
    this.on.choose(look);
  }

  /**
   * Choose a look that is on its way.
   * @param {string} look
   */
  chooseSoon(look) {
    if (this.#tiles.has(look)) this.choose(look);
    else this.#wanted = look;
  }

  /**
   * What the session offers, in its order. Others go; none means that they are not known yet.
   * @param {OfferedLook[]} offered
   * @param {Record<string, number>} seeds of those for which a take was picked
   */
  offer(offered, seeds) {
    if (!offered.length) return;
    const names = new Set(offered.map(({ name }) => name));
    for (const [look, { item }] of [...this.#tiles]) {
      if (look === null || names.has(look)) continue;
      item.remove();
      this.#tiles.delete(look);
      if (this.chosen === look) this.choose(null);
    }
    for (const { name, words } of offered) {
      const { button } = this.#tiles.get(name) ?? this.#add(name, words);
      button.classList.toggle("picked", name in seeds);
    }
    if (this.#wanted !== null && names.has(this.#wanted)) {
      this.choose(this.#wanted);
      this.#wanted = null;
    }
  }

  /**
   * The look `step` places further along the strip.
   * @param {number} step
   */
  move(step) {
    const names = this.names;
    const next = names[(names.indexOf(this.chosen) + step + names.length) % names.length];
    this.choose(next);
    const button = this.#tiles.get(next)?.button;
    if (this.strip.contains(document.activeElement)) button?.focus();
  }

  /**
   * Draw what came with a view, and note how old it is. A view of the original is its tile, too.
   * @param {ViewHeader} header
   * @param {Tile[]} tiles
   * @param {HTMLCanvasElement} view
   */
  async show(header, tiles, view) {
    const isOriginal = header.look === null;
    if (isOriginal) this.#copyOriginal(view, header.frame_id, header.age_ms);
    await this.#draw(isOriginal ? tiles.filter(({ look }) => look !== null) : tiles);
    for (const { look, age_ms } of tiles) this.#setAge(look, age_ms);
    for (const [look, age] of Object.entries(header.tile_ages)) this.#setAge(look, age);
  }

  /** @param {Tile[]} tiles */
  async #draw(tiles) {
    if (!tiles.length) return;
    for (const ghost of this.strip.querySelectorAll(".ghost")) ghost.remove();
    await Promise.all(
      tiles.map(async ({ look, paint, frame_id }) => {
        const tile = this.#tiles.get(look);
        if (!tile) return; // a status says which there are
        await paint(tile.canvas);
        tile.button.dataset.frameId = String(frame_id);
      }),
    );
  }

  /**
   * The original's tile is a small copy of the view whenever that shows the original.
   * @param {HTMLCanvasElement} view
   * @param {number} frameId
   * @param {number} ageMs
   */
  #copyOriginal(view, frameId, ageMs) {
    const { button, canvas } = this.#original;
    const width = Math.min(400, view.width);
    fit(canvas, width, Math.round((view.height * width) / view.width));
    pen(canvas, { alpha: false }).drawImage(view, 0, 0, canvas.width, canvas.height);
    button.dataset.frameId = String(frameId);
    this.#setAge(null, ageMs);
  }

  /**
   * @param {Look} look
   * @param {number} ms
   */
  #setAge(look, ms) {
    const tile = this.#tiles.get(look);
    if (tile) tile.age = new Age(ms);
  }

  /** Say which are old by now. */
  tick() {
    for (const { button, label, age } of this.#tiles.values()) {
      if (!age) continue;
      const stale = age.ms > STALE_MS;
      button.classList.toggle("stale", stale);
      label.textContent = stale ? `${Math.floor(age.ms / 1000)} s old` : "";
    }
  }

  /**
   * Put a look at the end of the strip; what was made of words can be removed again.
   * @param {Look} look
   * @param {string | null} words
   * @returns {LiveTile}
   */
  #add(look, words = null) {
    const number = this.#tiles.size;
    const title = titled(look);
    const button = make("button", { type: "button", className: "tile", ariaLabel: title });
    button.setAttribute("role", "radio");
    button.dataset.look = look ?? "";
    if (number <= 9) button.setAttribute("aria-keyshortcuts", String(number));
    const canvas = make("canvas", { width: 400, height: 225, ariaHidden: "true" });
    const picture = make("span", { className: "picture" });
    picture.append(canvas);
    if (number <= 9) picture.append(make("kbd", { className: "key", textContent: String(number) }));
    const label = make("span", { className: "age" });
    picture.append(label);
    button.append(picture, make("span", { className: "name", textContent: title }));
    button.addEventListener("click", () => this.choose(look));
    if (look !== null) onLongPress(button, () => this.on.hold(look));
    const item = make("div", { className: "item" });
    item.append(button);
    if (look !== null && words !== null) {
      const remove = make("button", { type: "button", className: "remove", textContent: "✕", ariaLabel: `Remove ${title}` });
      remove.addEventListener("click", () => this.on.forget(look));
      button.title = words;
      item.append(remove);
    }
    this.strip.insertBefore(item, this.strip.querySelector(".ghost"));
    const tile = { item, button, canvas, label, age: null };
    this.#tiles.set(look, tile);
    this.#mark();
    return tile;
  }

  #mark() {
    for (const [look, { button }] of this.#tiles) {
      button.ariaChecked = String(look === this.chosen);
      button.tabIndex = look === this.chosen ? 0 : -1;
    }
  }
}
