// The box at the foot: plain words, or `/` and a command of the bot's with its options.
import { $, el } from "/dom.js";
import { post, trouble, youAct } from "/you.js";

const SHOWN = 25;
const PAUSE_MS = 220;
const TYPE = { SUB: 1, GROUP: 2, STRING: 3, INTEGER: 4, BOOLEAN: 5, NUMBER: 10 };

// What is open: the channel, the commands, the message replied to, the command being filled in, the list above.
const now = { channel: null, commands: [], replyTo: null, call: null, items: [], at: 0, asked: 0, timer: 0 };
let names = null;

export function startComposer(state) {
  names = state;
  $("compose").addEventListener("submit", event => { event.preventDefault(); send(); });
  $("text").addEventListener("input", () => { fit(); suggestCommands(); });
  $("text").addEventListener("focus", loadCommands);
  $("text").addEventListener("keydown", keys);
  document.addEventListener("click", event => { if (!$("compose").contains(event.target)) showItems([]); });
}

export function openComposer(channel) {
  now.channel = channel;
  cancelReply();
  leaveCall();
  $("text").placeholder = `Message #${channel.name}, or / for commands`;
  loadCommands();
}

export function reply(message) {
  now.replyTo = message;
  const close = el("button", { type: "button", "aria-label": "Do not reply", onclick: cancelReply }, "✕");
  $("replying").replaceChildren(el("span", {}, "Replying to ", el("b", {}, message.author.name)), close);
  $("replying").hidden = false;
  $("text").focus();
}

function cancelReply() {
  now.replyTo = null;
  $("replying").hidden = true;
}

function fit() {
  const box = $("text");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 180)}px`;
}

// --- Commands ---

async function loadCommands() {
  try { now.commands = (await (await fetch("/sim/commands")).json()).flatMap(flatten); } catch { now.commands = []; }
}

// A command, or each of its subcommands: the names on the way, what it does, its options.
function flatten(command) {
  const walk = (node, path) => {
    const below = (node.options || []).filter(option => option.type === TYPE.SUB || option.type === TYPE.GROUP);
    if (!below.length) return [{ path, description: node.description, options: node.options || [] }];
    return below.flatMap(option => walk(option, [...path, { name: option.name, type: option.type }]));
  };
  return walk(command, [{ name: command.name }]);
}

const spelled = command => `/${command.path.map(part => part.name).join(" ")}`;

async function suggestCommands() {
  const text = $("text").value;
  if (!text.startsWith("/")) { showItems([]); return; }
  if (!now.commands.length) await loadCommands();
  const words = text.slice(1).toLowerCase().split(/\s+/).filter(Boolean);
  const fits = command => words.every(word => spelled(command).toLowerCase().includes(word));
  const items = now.commands.filter(fits).slice(0, SHOWN).map(command => ({
    node: [el("b", {}, spelled(command)), ...command.options.map(option => el("code", { class: option.required ? "required" : "" }, option.name)), el("small", {}, command.description || "")],
    choose: () => enterCall(command),
  }));
  showItems(items, items.length ? names.bot.name : now.commands.length ? "No such command" : `${names.bot.name} has registered no commands`);
}

function enterCall(command) {
  now.call = { command, fields: new Map() };
  $("text").hidden = true;
  $("text").value = "";
  $("call").hidden = false;
  $("call").replaceChildren(el("b", { class: "which", tabindex: "-1", onkeydown: nameKeys }, spelled(command)));
  for (const option of command.options.filter(option => option.required)) addField(option);
  offerMore();
  const first = [...now.call.fields.values()][0];
  (first ? first.input : $("call").querySelector(".which")).focus();
  showItems([], first ? undefined : `${command.description || spelled(command)} · enter runs it`);
  if (first) suggestValues(first);
}

function leaveCall() {
  now.call = null;
  $("call").hidden = true;
  $("text").hidden = false;
  showItems([]);
}

function offerMore() {
  const { command, fields } = now.call;
  $("call").querySelector(".more")?.remove();
  const more = el("span", { class: "more" });
  for (const option of command.options.filter(option => !fields.has(option.name))) {
    more.append(el("button", { type: "button", title: option.description || "", onclick: () => { const field = addField(option); offerMore(); field.input.focus(); suggestValues(field); } }, `+${option.name}`));
  }
  more.append(el("button", { type: "button", class: "cancel", "aria-label": "No command", onclick: () => { leaveCall(); $("text").focus(); } }, "✕"));
  $("call").append(more);
}

function addField(option) {
  const input = el("input", { size: "12", spellcheck: "false", autocomplete: "off", "aria-label": `${option.name}: ${option.description || ""}` });
  const field = { option, input, value: undefined };
  input.addEventListener("input", () => { field.value = undefined; input.size = Math.max(12, input.value.length); field.label.classList.remove("wrong"); suggestValues(field); });
  input.addEventListener("focus", () => suggestValues(field));
  input.addEventListener("keydown", event => fieldKeys(event, field));
  field.label = el("label", { title: option.description || "" }, el("span", {}, option.name), input);
  $("call").append(field.label);
  now.call.fields.set(option.name, field);
  return field;
}

function removeField(field) {
  if (field.option.required) { leaveCall(); $("text").focus(); return; }
  field.label.remove();
  now.call.fields.delete(field.option.name);
  offerMore();
  ([...now.call.fields.values()].at(-1)?.input || $("call").querySelector(".which")).focus();
}

// --- Values ---

function suggestValues(field) {
  const { option } = field;
  clearTimeout(now.timer);
  now.asked += 1;
  const typed = field.input.value.toLowerCase();
  const list = option.type === TYPE.BOOLEAN ? [{ name: "True", value: true }, { name: "False", value: false }] : option.choices;
  if (list) { showChoices(field, list.filter(choice => choice.name.toLowerCase().includes(typed))); return; }
  if (!option.autocomplete) { showItems([], option.description); return; }
  const asked = now.asked;
  showItems([], "Loading options…");
  now.timer = setTimeout(async () => {
    const answer = await post("/sim/autocomplete", { channel: now.channel.id, command: now.call.command.path[0].name, options: tree(field) });
    if (asked !== now.asked || document.activeElement !== field.input) return;
    if (answer) showChoices(field, answer.choices); else { trouble(""); showItems([], "Loading options failed"); }
  }, PAUSE_MS);
}

function showChoices(field, choices) {
  const items = (choices || []).slice(0, SHOWN).map(choice => ({ node: [el("span", {}, String(choice.name))], choose: () => take(field, choice) }));
  showItems(items, items.length ? `${field.option.name}: ${field.option.description || ""}` : "No options match your search");
}

function take(field, choice) {
  field.input.value = choice.name;
  field.input.size = Math.max(12, String(choice.name).length);
  field.value = choice.value;
  field.label.classList.remove("wrong");
  now.asked += 1;
  showItems([]);
  nextField(field);
}

function nextField(field) {
  const all = [...now.call.fields.values()];
  const next = all.slice(all.indexOf(field) + 1).find(other => !other.input.value);
  (next || field).input.focus();
  if (!next) showItems([]);
}

// What Discord would send; undefined where the value does not fit the option.
function valueOf({ option, input, value }) {
  if (value !== undefined) return value;
  const text = input.value.trim();
  const chosen = (option.choices || []).find(choice => choice.name.toLowerCase() === text.toLowerCase());
  if (chosen) return chosen.value;
  if (!text || option.choices) return undefined;
  if (option.type === TYPE.BOOLEAN) return { true: true, false: false }[text.toLowerCase()];
  if (option.type !== TYPE.INTEGER && option.type !== TYPE.NUMBER) {
    return text.length < (option.min_length || 0) || text.length > (option.max_length || 6000) ? undefined : text;
  }
  const number = Number(text);
  const whole = option.type === TYPE.NUMBER || Number.isInteger(number);
  return Number.isFinite(number) && whole && number >= (option.min_value ?? -Infinity) && number <= (option.max_value ?? Infinity) ? number : undefined;
}

// The options as an interaction carries them. With `focused`, as they stand while one types there.
function tree(focused) {
  const leaves = [];
  for (const field of now.call.fields.values()) {
    const leaf = { name: field.option.name, type: field.option.type };
    if (field === focused) leaves.push({ ...leaf, value: field.input.value, focused: true });
    else if (valueOf(field) !== undefined) leaves.push({ ...leaf, value: valueOf(field) });
  }
  return now.call.command.path.slice(1).reduceRight((options, part) => [{ ...part, options }], leaves);
}

// --- Sending ---

async function send() {
  if (now.call) { await run(); return; }
  const text = $("text").value.trim();
  if (!text) return;
  if (text.startsWith("/")) { suggestCommands(); return; }
  const body = { channel: now.channel.id, text };
  if (now.replyTo) body.reply_to = now.replyTo.id;
  if (!await post("/sim/say", body)) return;
  $("text").value = "";
  fit();
  cancelReply();
}

async function run() {
  const wrong = [...now.call.fields.values()].filter(field => (field.option.required || field.input.value.trim()) && valueOf(field) === undefined);
  for (const field of wrong) field.label.classList.add("wrong");
  if (wrong.length) { wrong[0].input.focus(); trouble(`${wrong[0].option.name}: this option is required, or its value does not fit`); return; }
  const { command } = now.call;
  const options = tree(null);
  leaveCall();
  $("text").focus();
  await youAct("/sim/interact", { channel: now.channel.id, command: command.path[0].name, options }, spelled(command));
}

// --- The list above the box ---

function showItems(items, title) {
  now.items = items;
  now.at = 0;
  const picker = $("picker");
  picker.hidden = !items.length && !title;
  const rows = items.map((item, at) => {
    const row = el("button", { type: "button", role: "option", tabindex: "-1" }, ...item.node);
    row.addEventListener("mousedown", event => event.preventDefault());
    row.addEventListener("click", item.choose);
    row.addEventListener("mousemove", () => mark(at));
    return row;
  });
  picker.replaceChildren(...(title ? [el("h3", {}, title)] : []), ...rows);
  mark(0);
}

function mark(at) {
  now.at = at;
  [...$("picker").querySelectorAll("button")].forEach((row, index) => {
    row.classList.toggle("marked", index === at);
    row.setAttribute("aria-selected", String(index === at));
    if (index === at) row.scrollIntoView({ block: "nearest" });
  });
}

// Whether the key belonged to the list.
function listKeys(event) {
  if (event.key === "Escape" && !$("picker").hidden) { showItems([]); event.preventDefault(); return true; }
  if (!now.items.length) return false;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) { mark((now.at + step + now.items.length) % now.items.length); event.preventDefault(); return true; }
  if (event.key === "Tab" || event.key === "Enter") { event.preventDefault(); now.items[now.at].choose(); return true; }
  return false;
}

function keys(event) {
  if (event.isComposing || listKeys(event)) return;
  if (event.key === "Escape") cancelReply();
  if (event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  send();
}

// On the command's own name, where no option is open.
function nameKeys(event) {
  if (event.key === "Enter") { event.preventDefault(); run(); }
  if (event.key === "Escape" || event.key === "Backspace") { event.preventDefault(); leaveCall(); $("text").focus(); }
}

function fieldKeys(event, field) {
  // Enter on a value that is taken already runs the command.
  const free = field.option.autocomplete && !field.option.choices;
  if (event.key === "Enter" && (field.value !== undefined || !now.items.length)) { event.preventDefault(); showItems([]); run(); return; }
  if (event.key === "Enter" && free && !event.isComposing) { event.preventDefault(); now.items[now.at].choose(); return; }
  if (listKeys(event)) return;
  if (event.key === "Backspace" && !field.input.value) { event.preventDefault(); removeField(field); }
  if (event.key === "Escape") { leaveCall(); $("text").focus(); }
}
