// What a page remembers about itself; nothing of it leaves the browser.

const KEY = "camera-nano";
const FIRST = { thirds: false, mirror: false, zebra: 99, theme: "", sound: false, interval: 5, histogram: false, clipping: false, seenTour: false };

export class Settings {
  values = { ...FIRST };

  /** `onChange(values)` hears of every change, and once at the start. */
  constructor(onChange) {
    this.onChange = onChange;
    try {
      const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
      for (const name of Object.keys(FIRST)) if (typeof stored[name] === typeof FIRST[name]) this.values[name] = stored[name];
    } catch {
      // a private window may refuse storage: settings then last as long as the page
    }
    const form = document.getElementById("settings-form");
    for (const field of form.elements) {
      if (!(field.name in FIRST)) continue;
      if (field.type === "checkbox") field.checked = this.values[field.name];
      else field.value = this.values[field.name];
      field.addEventListener("change", () => {
        if (!field.reportValidity()) return;
        this.set(field.name, field.type === "checkbox" ? field.checked : field.type === "number" ? field.valueAsNumber : field.value);
      });
    }
    form.addEventListener("submit", (event) => event.preventDefault());
  }

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
