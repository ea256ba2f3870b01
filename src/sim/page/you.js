// Who you are on this page, and what you do: every deed is a request, and a command waits for its answer.
import { $, el } from "/dom.js";

const ANSWER_MS = 3200;
const you = { name: "", role: "", roles: [] };
const waiting = new Map();
const early = new Map();
let page = { pending() {}, renamed() {} };

export const isYou = author => !author.bot && author.name === you.name;

const remembered = key => { try { return localStorage.getItem(key); } catch { return null; } };
const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window forgets */ } };

export function startYou(hooks) {
  page = hooks;
  you.name = remembered("isr-name") || `engineer-${100 + Math.floor(Math.random() * 900)}`;
  you.role = remembered("isr-role") || "";
  $("you-name").value = you.name;
  $("you-name").addEventListener("change", () => {
    you.name = $("you-name").value.trim() || you.name;
    $("you-name").value = you.name;
    remember("isr-name", you.name);
    paint();
    page.renamed();
  });
  $("you-role").addEventListener("change", () => {
    you.role = $("you-role").value;
    remember("isr-role", you.role);
  });
  paint();
}

export function showYou(roles) {
  you.roles = roles;
  if (!roles.some(role => role.id === you.role)) you.role = "";
  $("you-role").replaceChildren(el("option", { value: "" }, "player"), ...roles.map(role => el("option", { value: role.id }, role.name)));
  $("you-role").value = you.role;
  $("you-role").hidden = !roles.length;
  remember("isr-name", you.name);
}

function paint() {
  const hue = [...you.name].reduce((sum, letter) => sum * 31 + letter.codePointAt(0), 7) % 360;
  $("you-avatar").textContent = you.name.slice(0, 1).toUpperCase();
  $("you-avatar").style.background = `hsl(${hue} 45% 45%)`;
}

// The answer, or null where it is refused: then the refusal is shown.
export async function post(path, body) {
  const roles = you.role ? [you.role] : [];
  try {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ author: you.name, roles, ...body }) });
    if (answer.ok) { trouble(""); return await answer.json(); }
    trouble(refusal(await answer.text()));
  } catch {
    trouble("Discord (the simulated one) cannot be reached");
  }
  return null;
}

function refusal(text) {
  try {
    const { message, errors } = JSON.parse(text);
    const first = Object.values(errors || {})[0];
    return first ? first._errors[0].message : message;
  } catch { return text.slice(0, 200); }
}

export function trouble(text) { $("trouble").textContent = text; }

// Sends a command or presses a button, and shows how far its answer is.
export async function youAct(path, body, command = "") {
  const answer = await post(path, body);
  if (!answer) return;
  const row = { id: `pending-${answer.id}`, channel: body.channel, pending: "sent", timestamp: new Date().toISOString(),
    author: { name: "", bot: true }, content: "", interaction: { user: you.name, command } };
  waiting.set(answer.id, { row, timer: setTimeout(() => show(answer.id, "failed"), ANSWER_MS), quiet: !command });
  if (command) page.pending(row);
  const came = early.get(answer.id);
  if (came === "answered") answered(answer.id);
  else if (came) acknowledged(came);
}

function show(id, how) {
  const wait = waiting.get(id);
  if (!wait) return;
  wait.row = { ...wait.row, pending: how };
  page.pending(wait.row);
  if (how === "failed") waiting.delete(id);
}

// The bot has heard: it thinks, or the message came or comes at once.
export function acknowledged({ interaction, thinking }) {
  const wait = waiting.get(interaction);
  if (!wait) { tooEarly(interaction, { interaction, thinking }); return; }
  clearTimeout(wait.timer);
  if (thinking) show(interaction, "thinking"); else answered(interaction);
}

export function answered(id) {
  const wait = waiting.get(id);
  if (!wait) { tooEarly(id, "answered"); return; }
  clearTimeout(wait.timer);
  waiting.delete(id);
  page.pending(wait.row, true);
}

// News may overtake the answer to the request that it is about.
function tooEarly(id, news) {
  early.set(id, early.get(id) === "answered" ? "answered" : news);
  if (early.size > 50) early.delete(early.keys().next().value);
}
