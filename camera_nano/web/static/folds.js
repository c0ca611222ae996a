// What is out of sight until it is asked for: tools on small screens, sheets; and the tour, until it is done.

import { $ } from "./dom.js";

/** @import { Settings } from "./settings.js" */

/**
 * A button that shows and hides what small screens have no room for.
 * @param {HTMLElement} button
 * @param {HTMLElement} folded
 */
export function folds(button, folded) {
  button.addEventListener("click", () => {
    button.ariaExpanded = String(folded.classList.toggle("unfolded"));
  });
}

/**
 * Buttons open the sheets of their names, and a click beside a sheet closes it.
 * @param {Record<string, () => void>} sheets how to open each
 */
export function opensSheets(sheets) {
  for (const [name, open] of Object.entries(sheets)) {
    document.querySelector(`[data-opens=${name}]`)?.addEventListener("click", open);
  }
  for (const sheet of document.querySelectorAll("dialog")) {
    sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  }
}

/** @param {Settings} settings */
export function tour(settings) {
  $("tour").hidden = settings.values.seenTour;
  $("tour-done").addEventListener("click", () => {
    $("tour").hidden = true;
    settings.set("seenTour", true);
  });
}
