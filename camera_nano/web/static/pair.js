// Pairing: the code after the # of the address is shown once on the device; it never travels in a request line.

import { $ } from "./dom.js";

const said = $("said");
const form = $("code-form");

/** @param {string} code */
async function pair(code) {
  said.textContent = "Pairing …";
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("api/pair", { method: "POST", headers, body: JSON.stringify({ code }) }).catch(() => null);
  if (answer?.ok) location.replace("./");
  else ask(answer ? "This code is not valid any more. The device shows a new one after each use." : "The device does not answer.");
}

/** @param {string} why */
function ask(why) {
  said.textContent = why;
  form.hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  pair($("code", HTMLInputElement).value.trim());
});
const code = location.hash.slice(1);
history.replaceState(null, "", "pair"); // out of the address bar and the history
if (code) pair(code);
else ask("Scan the code that the device shows in its terminal, or type it here.");
