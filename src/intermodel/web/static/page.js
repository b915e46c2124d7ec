// What every page gains from JavaScript: buttons that copy, and nothing left behind after signing out.

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // browsers give the clipboard to trusted connections alone; over plain HTTP on a local network this still works
  const field = Object.assign(document.createElement("textarea"), { value: text, className: "hidden" });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("the browser refused");
}

/** Make `button` copy what `text()` gives when it is pressed, and say so. */
export function copies(button, text) {
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.textContent = await copy(text()).then(() => "Copied", () => "Not copied");
    setTimeout(() => { button.textContent = label; }, 1600);
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  copies(button, () => document.getElementById(button.dataset.copy).textContent);
}
// the sign-in page: whoever comes next in this tab finds nothing of who was here
if (document.querySelector("[data-forget]")) sessionStorage.clear();
