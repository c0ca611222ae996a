// The moments around a shot, offered for a few seconds: a tap saves that one too.

const SHOWN_MS = 4500; // a little less than the server keeps them

export class Moments {
  #timer = 0;

  /** `take({frame_id, picture})` saves one. */
  constructor(take) {
    this.take = take;
    this.box = document.getElementById("moments");
    this.list = document.getElementById("moments-list");
  }

  /** Offer these instead of the last: [{frame_id, offset_ms}]. */
  offer(moments) {
    clearTimeout(this.#timer);
    this.list.replaceChildren(...moments.map((moment) => this.#button(moment)));
    this.box.hidden = moments.length === 0;
    if (moments.length) this.#timer = setTimeout(() => this.offer([]), SHOWN_MS);
  }

  #button({ frame_id, offset_ms }) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const when = `${Math.abs(offset_ms / 1000).toFixed(2)} s ${offset_ms < 0 ? "before" : "after"}`;
    button.ariaLabel = `Also take the moment ${when}`;
    button.dataset.frameId = frame_id;
    const picture = Object.assign(new Image(), { src: `/api/moments/${frame_id}.jpg`, alt: "" });
    button.append(picture, Object.assign(document.createElement("span"), { textContent: when }));
    button.addEventListener("click", () => {
      button.remove();
      this.box.hidden = this.list.children.length === 0;
      this.take({ frame_id, picture });
    });
    return button;
  }
}
