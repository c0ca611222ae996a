// The plain panel: how long each stage takes, what was dropped and why, how the machine is doing.

const row = (name, value, note = "") => ({ name, value, note });
const known = (value, unit, digits = 0) => (value === null || value === undefined ? "not known" : `${value.toFixed(digits)} ${unit}`);

export class Panel {
  constructor() {
    this.dialog = document.getElementById("panel");
    this.body = document.getElementById("panel-body");
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** Draw a status; nothing while nobody looks. */
  update(status) {
    if (!this.dialog.open) return;
    const { machine = {}, dropped = {}, saving = {}, exposure, stages } = status;
    const tables = [
      ["Now", [
        row("Frames", `${status.camera_fps.toFixed(1)} a second`, status.camera === "live" ? status.source : status.camera),
        row("Looks", `${status.looks_per_s.toFixed(1)} a second`, status.looks_held_back ? "slowed so that the view stays smooth" : ""),
        row("Memory", known(machine.rss_mb, "MB")),
        row("Processor", known(machine.cpu_percent, "% of a core")),
        row("Temperature", known(machine.temperature_c, "°C"), machine.throttled ? "the device has slowed itself down" : ""),
      ]],
      ["Dropped", [
        row("Frames without looks", String(dropped.frames_not_proposed ?? 0), "the model takes the newest frame when it is ready, and none between"),
        row("Frames not sent here", String(dropped.views_skipped ?? 0), "this page was still drawing the one before"),
      ]],
      ["Saving", [
        row("Waiting", String(saving.pending ?? 0), saving.trouble ?? ""),
        row("Room for", saving.shots_left === null || saving.shots_left === undefined ? "not known" : `${saving.shots_left} shots`),
      ]],
      ["Exposure", [
        row("Time", known(exposure?.time_ms, "ms", 1)),
        row("ISO", known(exposure?.iso, "")),
        row("Scene", known(exposure?.lux, "lux")),
      ]],
      ["Milliseconds: usual, and the slowest in twenty", Object.entries(stages).map(([name, { p50_ms, p95_ms }]) =>
        row(name, `${p50_ms.toFixed(1)}`, p95_ms.toFixed(1)))],
    ];
    this.body.replaceChildren(...tables.filter(([, rows]) => rows.length).map(([title, rows]) => table(title, rows)));
  }
}

function table(title, rows) {
  const make = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const made = document.createElement("table");
  made.append(make("caption", title));
  for (const { name, value, note } of rows) {
    const line = document.createElement("tr");
    const head = make("th", name);
    head.scope = "row";
    line.append(head, make("td", value), make("td", note));
    made.append(line);
  }
  return made;
}
