for (const input of document.querySelectorAll(".pair input")) {
  input.addEventListener("input", () => input.parentElement.style.setProperty("--at", `${input.value}%`));
}
