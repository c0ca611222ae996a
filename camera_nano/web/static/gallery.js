// The shots of this session: original and look side by side, to keep, share or delete.

import { Divider } from "./divider.js";
import { titled } from "./looks.js";
import { toast } from "./toasts.js";

export class Gallery {
  #shots = [];
  #open = null; // the shot that is looked at, and the part beside its original
  #part = null;

  constructor() {
    for (const name of ["gallery", "shots", "pair"]) this[name] = document.getElementById(name);
    const $ = (id) => document.getElementById(id);
    $("pair-back").addEventListener("click", () => this.#list());
    this.divider = new Divider($("pair-divider"), $("pair-frame"));
    $("pair-delete").addEventListener("click", () => this.#delete());
    $("pair-share").addEventListener("click", () => this.#share());
    this.gallery.addEventListener("close", () => this.#clear());
  }

  /** Fetch the list and show it. */
  async open() {
    if (!this.gallery.open) this.gallery.showModal();
    await this.#refresh();
    this.#list();
  }

  async #refresh() {
    try {
      const answer = await fetch("/api/shots");
      if (!answer.ok) throw new Error(await answer.text());
      this.#shots = await answer.json();
    } catch (error) {
      toast("The shots cannot be listed", error.message, { isError: true });
      this.#shots = [];
    }
  }

  /** Pictures that nobody sees are let go. */
  #clear() {
    this.shots.replaceChildren();
    this.pair.hidden = true;
    for (const id of ["pair-original", "pair-look"]) document.getElementById(id).removeAttribute("src");
  }

  #list() {
    this.#clear();
    this.#open = null;
    this.shots.hidden = false;
    const n = this.#shots.length;
    document.getElementById("gallery-note").textContent = n ? `${n} ${n === 1 ? "shot" : "shots"}` : "Nothing shot yet";
    for (const shot of this.#shots) {
      const looks = shot.parts.filter(({ part }) => part !== "original").map(({ part }) => part);
      const cover = looks[0] ?? "original";
      const button = Object.assign(document.createElement("button"), { type: "button", className: "shot" });
      button.dataset.shotId = shot.id;
      const image = Object.assign(new Image(), { src: `/api/shots/${shot.id}/${cover}/thumb`, alt: "", loading: "lazy" });
      const when = new Date(shot.taken_at).toLocaleTimeString();
      const name = looks.map(titled).join(", ") || titled(null);
      button.append(image, Object.assign(document.createElement("span"), { textContent: `${when} · ${name}` }));
      button.addEventListener("click", () => this.#show(shot));
      this.shots.append(button);
    }
  }

  #show(shot) {
    const $ = (id) => document.getElementById(id);
    const url = (part) => `/api/shots/${shot.id}/${part}`;
    const looks = shot.parts.filter(({ part }) => part !== "original");
    this.#open = shot;
    this.#part = looks[0]?.part ?? null;
    this.shots.hidden = true;
    this.pair.hidden = false;
    this.pair.classList.toggle("single", this.#part === null);
    $("pair-original").src = `${url("original")}?inline=1`;
    if (this.#part) $("pair-look").src = `${url(this.#part)}?inline=1`;
    this.divider.set(50);
    $("pair-name").textContent = shot.parts.map(({ name, bytes }) => `${name} (${(bytes / 1e6).toFixed(1)} MB)`).join(" · ");
    $("pair-downloads").replaceChildren(
      ...shot.parts.map(({ part, name }) =>
        Object.assign(document.createElement("a"), {
          className: "quiet",
          href: url(part),
          download: name,
          textContent: part === "original" ? "Save original" : `Save ${titled(part)}`,
        }),
      ),
    );
    $("pair-share").hidden = !navigator.canShare;
  }

  async #share() {
    const { id, parts } = this.#open;
    const part = parts.find((each) => each.part === this.#part) ?? parts[0];
    try {
      const blob = await (await fetch(`/api/shots/${id}/${part.part}`)).blob();
      const file = new File([blob], part.name, { type: blob.type });
      if (!navigator.canShare({ files: [file] })) throw new Error("this browser does not share pictures: save it instead");
      await navigator.share({ files: [file] });
    } catch (error) {
      if (error.name !== "AbortError") toast("Not shared", error.message, { isError: true });
    }
  }

  async #delete() {
    const shot = this.#open;
    if (!confirm(`Delete ${shot.parts.map(({ name }) => name).join(" and ")}? This cannot be undone.`)) return;
    const answer = await fetch(`/api/shots/${shot.id}`, { method: "DELETE" }).catch((error) => ({ ok: false, text: () => error.message }));
    if (!answer.ok) toast("Not deleted", await answer.text(), { isError: true });
    await this.#refresh();
    this.#list();
  }
}
