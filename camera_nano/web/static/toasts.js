// Short messages that come and go: what was saved, what was not.

const SHOWN_MS = 7000;
const AT_ONCE = 3;

/** A small still copy of a canvas. */
export function thumbnail(canvas) {
  const small = Object.assign(document.createElement("canvas"), { width: 128 });
  small.height = Math.max(1, Math.round((canvas.height * 128) / canvas.width));
  small.getContext("2d").drawImage(canvas, 0, 0, small.width, small.height);
  small.ariaHidden = "true";
  return small;
}

/** Show a line of text, with a picture if there is one. */
export function toast(title, detail, { picture = null, isError = false, data = {} } = {}) {
  const box = document.getElementById("toasts");
  const item = document.createElement("div");
  item.className = isError ? "toast error" : "toast";
  Object.assign(item.dataset, data);
  const words = document.createElement("p");
  words.append(
    Object.assign(document.createElement("strong"), { textContent: title }),
    Object.assign(document.createElement("span"), { textContent: detail }),
  );
  if (picture) item.append(picture);
  item.append(words);
  box.append(item);
  while (box.children.length > AT_ONCE) box.firstElementChild.remove();
  setTimeout(() => item.remove(), SHOWN_MS);
}
