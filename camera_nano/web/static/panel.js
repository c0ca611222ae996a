// The plain panel: how long each stage takes, what was dropped and why, how the machine is doing.

import { $, make } from "./dom.js";

/** @import { Status } from "./protocol.js" */
/** @typedef {ReturnType<typeof row>} Row */

const row = (/** @type {string} */ name, /** @type {string} */ value, note = "") => ({ name, value, note });

/**
 * @param {number | null | undefined} value
 * @param {string} unit
 */
const known = (value, unit, digits = 0) => (value === null || value === undefined ? "not known" : `${value.toFixed(digits)} ${unit}`);

export class Panel {
  constructor() {
    this.dialog = $("panel", HTMLDialogElement);
    this.body = $("panel-body");
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  /**
   * Draw a status; nothing while nobody looks.
   * @param {Status} status
   * @param {{ where: string, why: string }} drawing where looks are drawn
   * @param {number | undefined} ageMs of the view on the screen
   */
  update(status, drawing, ageMs) {
    if (!this.dialog.open) return;
    const { machine, dropped, saving, exposure, stages } = status;
    /** @type {[title: string, rows: Row[]][]} */
    const tables = [
      ["Now", [
        row("Frames", `${status.camera_fps.toFixed(1)} a second`, status.camera === "live" ? status.source : status.camera),
        row("Looks", `${status.looks_per_s.toFixed(1)} a second`, status.looks_held_back ? "slowed so that the view stays smooth" : ""),
        row("Drawn", drawing.where, drawing.why),
        row("View", known(ageMs, "ms"), "since the light fell on the sensor"),
        row("Memory", known(machine.rss_mb, "MB")),
        row("Processor", known(machine.cpu_percent, "% of a core")),
        row("Temperature", known(machine.temperature_c, "°C"), machine.throttled ? "the device has slowed itself down" : ""),
      ]],
      ["Dropped", [
        row("Frames without looks", String(dropped.frames_not_proposed), "the model takes the newest frame when it is ready, and none between"),
        row("Frames not sent here", String(dropped.views_skipped), "this page was still drawing the one before"),
      ]],
      ["Saving", [
        row("Waiting", String(saving.pending), saving.trouble ?? ""),
        row("Room for", saving.shots_left === null ? "not known" : `${saving.shots_left} shots`),
      ]],
      ["Exposure", [
        row("Time", known(exposure?.time_ms, "ms", 1)),
        row("ISO", known(exposure?.iso, "")),
        row("Scene", known(exposure?.lux, "lux"), status.is_dark ? "dark: shots are merged from several frames" : ""),
        row("Light above white", status.headroom, status.bracket_note ?? ""),
      ]],
      ["Milliseconds: usual, and the slowest in twenty", Object.entries(stages).map(([name, { p50_ms, p95_ms }]) =>
        row(name, `${p50_ms.toFixed(1)}`, p95_ms.toFixed(1)))],
    ];
    this.body.replaceChildren(...tables.filter(([, rows]) => rows.length).map(([title, rows]) => table(title, rows)));
  }
}

/**
 * @param {string} title
 * @param {Row[]} rows
 */
function table(title, rows) {
  const made = make("table");
  made.append(make("caption", { textContent: title }));
  for (const { name, value, note } of rows) {
    const line = make("tr");
    line.append(
      make("th", { textContent: name, scope: "row" }),
      make("td", { textContent: value }),
      make("td", { textContent: note }),
    );
    made.append(line);
  }
  return made;
}
