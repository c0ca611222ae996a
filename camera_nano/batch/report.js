for (const again of document.querySelectorAll("img[data-again]")) again.src = again.closest("article").querySelector("img").src;
for (const input of document.querySelectorAll(".pair input")) {
  input.addEventListener("input", () => input.parentElement.style.setProperty("--at", `${input.value}%`));
}
