// The chat page: the form's own fields are the request, its log is the conversation, answers stream from /v1.
// Whatever a model says is put into the page as text, never as markup.

import { events } from "./events.js";
import { copies } from "./page.js";

const KEPT = "conversation";
const MOST_TURNS = 40;
const SAID = { done: "answered", stopped: "stopped", broken: "broke off", failed: "failed" };

const form = document.getElementById("chat");
if (form) start();

function start() {
  const ui = Object.fromEntries(
    ["log", "empty", "prompt", "send", "stop", "clear", "status", "history", "keys-help"].map((id) => [id, document.getElementById(id)]),
  );
  const turns = load(ui);
  ui.clear.hidden = !turns.length;
  let running = null; // the AbortController of the answers on their way

  ui["keys-help"].hidden = false;
  for (const section of ui.log.querySelectorAll(".answer")) {
    copies(part(section, "copy"), () => part(section, "text").textContent);
  }
  ui.prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!running) form.requestSubmit(ui.send);
  });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") running?.abort(); });
  ui.stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === ui.clear) clear();
    else if (!running && ui.prompt.value.trim()) say(ui.prompt.value);
  });
  form.addEventListener("invalid", () => { form.querySelector(".options").open = true; }, true);
  form.addEventListener("change", (event) => {
    // so that loading the page again finds the same models chosen
    const chosen = new URLSearchParams(chosenModels().map((model) => ["model", model]));
    if (event.target.name === "model") history.replaceState(null, "", `/chat?${chosen}`);
  });
  addEventListener("pagehide", () => {
    for (const answer of running ? turns.at(-1).answers : []) if (!(answer.state in SAID)) answer.state = "stopped";
    keep(ui, turns);
  });

  async function say(prompt) {
    const models = chosenModels();
    const requests = models.map((model) => request(model, prompt, turns));
    const answers = models.map((model) => ({ model, state: "waiting", text: "", thinking: "", error: "", meta: "" }));
    const article = drawTurn(ui, prompt);
    const sections = answers.map((answer) => drawAnswer(article, answer));
    const draws = answers.map((answer, i) => () => show(sections[i], answer));
    turns.push({ prompt, answers });
    running = new AbortController();
    busy(true);
    ui.prompt.value = "";
    ui.clear.hidden = false;
    article.scrollIntoView({ block: "start" });
    await Promise.all(answers.map((answer, i) => ask(requests[i], running.signal, answer, onceAFrame(draws[i]))));
    for (const draw of draws) draw();
    running = null;
    keep(ui, turns);
    busy(false);
    ui.status.textContent = answers.map((a) => `${a.model}: ${SAID[a.state]}`).join(". ");
  }

  function busy(is) {
    const hadFocus = document.activeElement === ui.stop || document.activeElement === ui.send;
    ui.send.hidden = is;
    ui.stop.hidden = !is;
    ui.clear.disabled = is;
    ui.log.ariaBusy = is ? "true" : "false"; // read out once it is whole, not word by word
    if (is) ui.status.textContent = "Waiting for the answer";
    if (hadFocus) (is ? ui.stop : ui.prompt).focus();
  }

  function clear() {
    running?.abort();
    turns.length = 0;
    keep(ui, turns);
    for (const article of ui.log.querySelectorAll(".turn")) article.remove();
    ui.empty.hidden = false;
    ui.clear.hidden = true;
    ui.status.textContent = "The conversation is cleared";
    ui.prompt.focus();
  }
}

function chosenModels() {
  return [...new Set(new FormData(form).getAll("model"))].filter(Boolean);
}

function onceAFrame(draw) {
  let due = false;
  return () => {
    if (!due) requestAnimationFrame(() => { due = false; draw(); });
    due = true;
  };
}

/** The conversation so far: of the page if the server gave one, else what this tab kept. */
function load(ui) {
  try {
    const given = JSON.parse(ui.history.value || "[]");
    if (given.length) return given;
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
    for (const { prompt, answers } of kept) {
      const article = drawTurn(ui, prompt);
      for (const answer of answers) show(drawAnswer(article, answer), answer);
    }
    return kept;
  } catch {
    return [];
  }
}

function keep(ui, turns) {
  turns.splice(0, turns.length - MOST_TURNS);
  ui.history.value = JSON.stringify(turns);
  try {
    sessionStorage.setItem(KEPT, ui.history.value);
  } catch {
    sessionStorage.removeItem(KEPT); // no room: the page still has it, a reload will not
  }
}

/** The request in OpenAI's form. A model sees its own answers, not those of the others. */
function request(model, prompt, turns) {
  const said = (role, content) => ({ role, content });
  const fields = new FormData(form);
  const messages = fields.get("system").trim() ? [said("system", fields.get("system"))] : [];
  for (const turn of turns) {
    for (const answer of turn.answers) {
      if (answer.model === model && answer.text) messages.push(said("user", turn.prompt), said("assistant", answer.text));
    }
  }
  messages.push(said("user", prompt));
  const body = { model, messages, stream: true, stream_options: { include_usage: true } };
  if (fields.get("temperature")) body.temperature = Number(fields.get("temperature"));
  if (fields.get("max_tokens")) body.max_tokens = Number(fields.get("max_tokens"));
  return body;
}

/** Ask one model and fill `answer` as it comes; `changed` is called each time. Never throws. */
async function ask(body, signal, answer, changed) {
  const clock = { began: performance.now(), first: 0, last: 0, pieces: 0, tokens: 0, by: "" };
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok) throw await refusal(response);
    clock.by = response.headers.get("x-intermodel-model") ?? "";
    answer.state = "streaming";
    for await (const data of events(response.body)) {
      if (data === "[DONE]") { answer.state = "done"; break; }
      take(JSON.parse(data), answer, clock);
      changed();
    }
    if (answer.state !== "done") throw new Error("It ended without saying that it was complete.");
  } catch (error) {
    if (signal.aborted) answer.state = "stopped";
    else if (answer.state === "waiting") Object.assign(answer, { state: "failed", error: explained(error) });
    else Object.assign(answer, { state: "broken", error: `The answer broke off. ${explained(error)}` });
  }
  answer.meta = measured(answer, clock);
}

function take(event, answer, clock) {
  if (event.error) throw new Error(event.error.message);
  const choice = event.choices?.[0];
  const thought = choice?.delta?.reasoning_content ?? "";
  const piece = choice?.delta?.content ?? "";
  answer.thinking += thought;
  answer.text += piece;
  if (thought || piece) {
    clock.last = performance.now();
    clock.first ||= clock.last;
    clock.pieces += 1;
  }
  if (choice?.finish_reason === "length") answer.error = "Cut off: the answer reached its limit of tokens.";
  if (event.usage?.completion_tokens) clock.tokens = event.usage.completion_tokens;
}

async function refusal(response) {
  if (response.status === 401) return new Error("Your sign-in has ended. Load the page again.");
  const said = await response.json().catch(() => ({}));
  const id = response.headers.get("x-request-id");
  const message = said.error?.message ?? `The node answered ${response.status}.`;
  return new Error(id ? `${message} (request ${id})` : message);
}

function explained(error) {
  const cut = error instanceof TypeError; // what fetch and its streams throw when the connection fails
  return cut ? "The node cannot be reached. Is it still running?" : error.message;
}

/** How much and how fast, as the reader's clock saw it. */
function measured(answer, clock) {
  if (!clock.first) return "";
  const tokens = clock.tokens || clock.pieces;
  const parts = [`${clock.tokens ? "" : "about "}${tokens} token${tokens === 1 ? "" : "s"}`];
  const streamed = clock.last - clock.first > 50; // ms; what comes in one piece is timed from the question on
  const seconds = (clock.last - (streamed ? clock.first : clock.began)) / 1000;
  const counted = streamed ? tokens - 1 : tokens; // the first token's time is that of the question
  if (tokens > 1) parts.push(`${Number((counted / seconds).toPrecision(3)).toLocaleString("en")} tokens/s`);
  parts.push(`first after ${((clock.first - clock.began) / 1000).toFixed(2)} s`);
  if (clock.by && clock.by !== answer.model) parts.push(`by ${clock.by}`);
  return parts.map((said) => said.replaceAll(" ", "\u00a0")).join(" · "); // lines break between the parts alone
}

function part(element, name) {
  return element.querySelector(`[data-part="${name}"]`);
}

function drawTurn(ui, prompt) {
  const article = document.getElementById("turn-template").content.firstElementChild.cloneNode(true);
  part(article, "prompt").textContent = prompt;
  ui.empty.hidden = true;
  ui.empty.before(article);
  return article;
}

function drawAnswer(article, answer) {
  const section = document.getElementById("answer-template").content.firstElementChild.cloneNode(true);
  section.ariaLabel = `Answer of ${answer.model}`;
  section.querySelector("h3").textContent = answer.model;
  article.querySelector(".answers").append(section);
  copies(part(section, "copy"), () => answer.text);
  show(section, answer);
  return section;
}

/** Only what is new is added, so that a selection made while an answer grows stays. */
function append(element, text) {
  if (!element.firstChild) element.append("");
  element.firstChild.appendData(text.slice(element.firstChild.length));
}

function show(section, answer) {
  const below = document.documentElement.scrollHeight - innerHeight - scrollY < 120;
  section.dataset.state = answer.state;
  append(part(section, "text"), answer.text);
  append(part(section, "thinking"), answer.thinking);
  section.querySelector(".thinking").hidden = !answer.thinking;
  part(section, "error").textContent = answer.state === "stopped" ? "Stopped." : answer.error;
  part(section, "error").hidden = !part(section, "error").textContent;
  part(section, "meta").textContent = answer.meta;
  part(section, "copy").hidden = !answer.meta || !answer.text;
  if (below) scrollTo({ top: document.documentElement.scrollHeight });
}
