// What a page remembers about itself; nothing of it leaves the browser.

import { $ } from "./dom.js";

const KEY = "camera-nano";
const FIRST = { thirds: false, mirror: false, zebra: 99, drawing: "", theme: "", sound: false, interval: 5, histogram: false, clipping: false, shortcuts: true, fill: true, peaking: false, level: false, timer: 0, aspect: "", seenTour: false };

/** @typedef {typeof FIRST} Values */
const NAMES = /** @type {(keyof Values)[]} */ (Object.keys(FIRST));

export class Settings {
  values = { ...FIRST };

  /** @param {(values: Values) => void} onChange hears of every change */
  constructor(onChange) {
    this.onChange = onChange;
    try {
      /** @type {Record<string, unknown>} */
      const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
      const isUsable = (/** @type {keyof Values} */ name) => typeof stored[name] === typeof FIRST[name];
      for (const name of NAMES.filter(isUsable)) Object.assign(this.values, { [name]: stored[name] });
    } catch {
      // a private window may refuse storage: settings then last as long as the page
    }
    const form = $("settings-form", HTMLFormElement);
    for (const name of NAMES) {
      const field = form.elements.namedItem(name);
      if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) continue; // buttons set the others
      const value = this.values[name];
      if (typeof value === "boolean" && field instanceof HTMLInputElement) field.checked = value;
      else field.value = String(value);
      field.addEventListener("change", () => {
        if (field.reportValidity()) this.set(name, valueOf(field));
      });
    }
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /**
   * @template {keyof Values} Name
   * @param {Name} name
   * @param {Values[Name]} value
   */
  set(name, value) {
    this.values[name] = value;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // as above
    }
    this.onChange(this.values);
  }
}

/**
 * Show what is set on the buttons that change it, and over the whole page.
 * @param {Values} values
 */
export function showSet(values) {
  $("histogram-toggle").ariaPressed = String(values.histogram);
  $("zebra").ariaPressed = String(values.clipping);
  $("peaking").ariaPressed = String(values.peaking);
  $("fill").ariaPressed = String(values.fill);
  $("timer-s").textContent = values.timer ? `${values.timer}` : "";
  $("aspect-name").textContent = values.aspect;
  $("interval-s").textContent = String(values.interval);
  $("thirds").hidden = !values.thirds;
  document.documentElement.dataset.theme = values.theme;
}

/** @param {HTMLInputElement | HTMLSelectElement} field */
function valueOf(field) {
  if (field instanceof HTMLSelectElement) return field.value;
  return field.type === "checkbox" ? field.checked : field.valueAsNumber;
}
