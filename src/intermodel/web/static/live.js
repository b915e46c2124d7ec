// Keeps the parts marked data-live as the node would show them now, by loading the page again in the background.

const EVERY_MS = 2000;
const SLOWEST_MS = 30000;

const said = document.getElementById("live-said");
const pause = document.getElementById("live-pause");
let wait = EVERY_MS;
let timer;

/** Whether someone reads or works with it: then it stays as it is. */
function inUse(part) {
  const selection = document.getSelection();
  return part.contains(document.activeElement)
    || (!selection.isCollapsed && part.contains(selection.anchorNode));
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(part.id);
    if (!now || inUse(part)) continue;
    for (const open of part.querySelectorAll("details[id][open]")) now.querySelector(`#${open.id}`)?.setAttribute("open", "");
    part.replaceWith(document.adoptNode(now));
  }
}

function say(text) {
  if (said.textContent !== text) said.textContent = text;
}

const first = said.textContent;

async function turn() {
  try {
    await refresh();
    wait = EVERY_MS;
    say(first);
  } catch {
    wait = Math.min(SLOWEST_MS, wait * 2);
    say("The node does not answer; what you see is old.");
  }
  next();
}

function next() {
  clearTimeout(timer);
  if (!document.querySelector("[data-live]")) return over();
  if (!document.hidden && pause.getAttribute("aria-pressed") !== "true") timer = setTimeout(turn, wait);
}

/** Nothing on the page changes any more. */
function over() {
  pause.hidden = true;
  document.removeEventListener("visibilitychange", next);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") === "true";
  pause.setAttribute("aria-pressed", String(!paused));
  next();
});
document.addEventListener("visibilitychange", next);
next();
