// The page of the demo. Whatever comes over the wire becomes text nodes: no markup is ever parsed from it.
import { $, el } from "/dom.js";
import { age, renderMarkdown } from "/markdown.js";
import { openComposer, reply, startComposer } from "/compose.js";
import { outsideEmbeds, picture, renderButtons, renderEmbeds } from "/embeds.js";
import { acknowledged, isYou, answered, post, showYou, startYou, youAct } from "/you.js";

const GROUP_MS = 7 * 60 * 1000;
const KEPT_MESSAGES = 300;
const KEPT_LOG_LINES = 250;
const PREVIEW_LINES = 6;

const state = { guild: {}, bot: {}, channels: [], messages: new Map(), unread: new Map(), open: null, loggedServers: [], lastLogged: null };

// --- Channels ---

function renderChannels() {
  const categories = new Map();
  for (const channel of state.channels) {
    const name = channel.category || "Text channels";
    categories.set(name, [...(categories.get(name) || []), channel]);
  }
  const nodes = [];
  for (const [name, channels] of categories) nodes.push(el("h3", {}, name), ...channels.map(channelButton));
  $("channels").replaceChildren(...nodes);
}

function channelButton(channel) {
  const unread = state.unread.get(channel.id) || 0;
  const classes = [channel.id === state.open && "open", unread && "unread", /alert|admin/.test(channel.name) && "alarm"];
  const button = el("button", { type: "button", class: classes.filter(Boolean).join(" "), onclick: () => openChannel(channel.id) },
    el("span", { class: "name" }, channel.name));
  if (channel.id === state.open) button.setAttribute("aria-current", "true");
  if (unread) button.append(el("span", { class: "count" }, unread > 99 ? "99+" : String(unread)));
  return button;
}

function openChannel(id) {
  state.open = id;
  state.unread.delete(id);
  $("app").classList.remove("show-menu", "show-logs");
  const channel = state.channels.find(channel => channel.id === id);
  showHeading(channel);
  openComposer(channel);
  renderChannels();
  renderMessages(channel);
}

function showHeading(channel) {
  if (!channel) return;
  $("channel-name").textContent = channel.name;
  $("channel-topic").textContent = channel.topic || "";
}

// What a newcomer should see first: the chat of the first server, else whatever has most to show.
function firstChannel() {
  const wanted = new URLSearchParams(location.search).get("channel");
  const named = state.channels.find(channel => channel.id === wanted || channel.name === wanted);
  const busiest = [...state.channels].sort((a, b) => messagesOf(b.id).length - messagesOf(a.id).length)[0];
  return named || state.channels.find(channel => /chat/.test(channel.name)) || busiest;
}

// --- Messages ---

const messagesOf = id => state.messages.get(id) || [];

function renderMessages(channel) {
  const list = $("messages");
  list.replaceChildren();
  list.append(el("li", { class: "start" }, el("b", {}, `Welcome to #${channel.name}`), channel.topic || "This is the start of the channel."));
  let previous = null;
  for (const message of messagesOf(channel.id)) {
    appendMessage(list, message, previous);
    previous = message;
  }
  scrollDown();
}

function appendMessage(list, message, previous) {
  const at = new Date(message.timestamp);
  const newDay = !previous || new Date(previous.timestamp).toDateString() !== at.toDateString();
  if (newDay) list.append(el("li", { class: "day" }, at.toLocaleDateString(undefined, { dateStyle: "long" })));
  const first = newDay || message.interaction || message.reply_to || message.ephemeral || previous.author.name !== message.author.name || at - new Date(previous.timestamp) > GROUP_MS;
  list.append(messageNode(message, first));
}

function messageNode(message, first) {
  if (message.pending) return pendingNode(message);
  const at = new Date(message.timestamp);
  const clock = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  const node = el("li", { class: first ? "message first" : "message" });
  node.dataset.id = message.id;
  node.append(...contextLine(message));
  const time = el("time", { datetime: message.timestamp, title: at.toLocaleString() }, first ? `Today at ${clock}` : clock);
  if (first) {
    if (at.toDateString() !== new Date().toDateString()) time.textContent = at.toLocaleString();
    const badge = message.author.bot ? [el("span", { class: "app-badge" }, "APP")] : [];
    node.append(avatar(message.author), el("header", {}, el("b", {}, message.author.name), ...badge, time));
  } else {
    node.append(time);
  }
  const content = el("div", { class: "content" });
  content.append(renderMarkdown(message.content, state));
  if (message.edited) content.append(el("span", { class: "edited" }, "(edited)"));
  const files = outsideEmbeds(message.attachments, message.embeds).map(file => file.type === "image/png" ? picture(file) : fileCard(file));
  node.append(content, ...files, ...renderEmbeds(message.embeds, state, message.attachments));
  node.append(...renderButtons(message.components, component => press(message, component)));
  if ((message.reactions || []).length) node.append(el("div", { class: "reactions" }, ...message.reactions.map(reaction)));
  if (message.ephemeral) {
    node.classList.add("private");
    node.append(el("p", { class: "only-you" }, "👁 Only you can see this · ", el("button", { type: "button", onclick: () => remove(message) }, "Dismiss message")));
  } else {
    node.append(tools(message));
  }
  if (message.mention_everyone) node.classList.add("pinged");
  return node;
}

const reaction = emoji => el("span", { class: "reaction" }, String(emoji), el("b", {}, "1"));

// The line above a message: what it answers, or who called the command.
function contextLine(message) {
  if (message.interaction && message.interaction.command) {
    return [el("div", { class: "context" }, miniAvatar({ name: message.interaction.user }), el("b", {}, message.interaction.user),
      " used ", el("span", { class: "mention" }, message.interaction.command))];
  }
  if (!message.reply_to) return [];
  const answered = messagesOf(message.channel).find(known => known.id === message.reply_to);
  if (!answered) return [el("div", { class: "context" }, el("i", {}, "Original message was deleted"))];
  const words = el("span", { class: "words" });
  words.append(renderMarkdown((answered.content || "Click to see attachment").split("\n")[0], state));
  return [el("div", { class: "context" }, miniAvatar(answered.author), el("b", {}, answered.author.name), " ", words)];
}

function miniAvatar(author) {
  const node = avatar(author);
  node.classList.add("mini");
  return node;
}

// What the pointer brings up: reply, and for one's own words edit and delete.
function tools(message) {
  const tool = (label, sign, act) => el("button", { type: "button", title: label, "aria-label": label, onclick: act }, sign);
  const all = [tool("Reply", "↩", () => reply(message))];
  if (isYou(message.author)) {
    all.unshift(tool("Edit", "✎", () => editInPlace(message)));
    all.push(tool("Delete", "🗑", () => post("/sim/delete", { channel: message.channel, message: message.id })));
  }
  return el("div", { class: "tools" }, ...all);
}

function editInPlace(message) {
  const node = messageElement(message.id);
  const box = el("textarea", { class: "edit", maxlength: "2000", "aria-label": "Edit the message" });
  box.value = message.content;
  const done = () => replace(message);
  box.addEventListener("keydown", async event => {
    if (event.key === "Escape") done();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    const text = box.value.trim();
    if (!text || text === message.content || !await post("/sim/edit", { channel: message.channel, message: message.id, text })) done();
  });
  node.querySelector(".content").replaceChildren(box, el("p", { class: "hint" }, "escape to cancel · enter to save"));
  box.focus();
}

// A command of one's own that has no answer yet.
function pendingNode(message) {
  const node = el("li", { class: "message first" });
  node.dataset.id = message.id;
  const dots = el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  const words = { sent: ["Sending command…"], thinking: [dots, `${state.bot.name} is thinking…`], failed: ["The application did not respond"] }[message.pending];
  const lines = message.interaction.command ? contextLine(message) : [];
  node.append(...lines, avatar({ bot: true }), el("header", {}, el("b", {}, state.bot.name), el("span", { class: "app-badge" }, "APP")),
    el("div", { class: `content pending ${message.pending}` }, ...words));
  if (message.pending === "failed") {
    node.append(el("p", { class: "only-you" }, "👁 Only you can see this · ", el("button", { type: "button", onclick: () => remove(message) }, "Dismiss message")));
  }
  return node;
}

// A button is pressed: all of its message's buttons wait for the answer.
async function press(message, component) {
  const node = messageElement(message.id);
  for (const button of node.querySelectorAll(".buttons button")) button.disabled = true;
  await youAct("/sim/press", { channel: message.channel, message: message.id, component });
  const now = messagesOf(message.channel).find(known => known.id === message.id);
  if (now) replace(now);
}

function avatar(author) {
  if (author.bot) return el("span", { class: "avatar bot", "aria-hidden": "true" });
  const hue = [...author.name].reduce((sum, letter) => sum * 31 + letter.codePointAt(0), 7) % 360;
  const node = el("span", { class: "avatar", "aria-hidden": "true" }, author.name.slice(0, 1).toUpperCase());
  node.style.background = `hsl(${hue} 45% 45%)`;
  return node;
}

function fileCard(attachment) {
  const preview = el("pre", {}, "…");
  const footer = el("footer", {}, el("a", { href: safePath(attachment.url), download: attachment.filename }, attachment.filename), sizeText(attachment.size));
  fetch(safePath(attachment.url)).then(answer => answer.text()).then(text => {
    const lines = text.replace(/\n$/, "").split("\n");
    const short = lines.slice(0, PREVIEW_LINES).join("\n");
    preview.textContent = short;
    if (lines.length <= PREVIEW_LINES) return;
    let whole = false;
    const toggle = el("button", { type: "button", onclick: () => {
      whole = !whole;
      preview.textContent = whole ? text : short;
      toggle.textContent = whole ? "Collapse" : `Expand (${lines.length} lines)`;
    } }, `Expand (${lines.length} lines)`);
    footer.prepend(toggle);
    keepDown();
  }).catch(() => { preview.textContent = "The file could not be loaded."; });
  return el("div", { class: "file" }, preview, footer);
}

// Attachments are this server's own; anything else is not followed.
const safePath = url => new URL(url, location.href).origin === location.origin ? url : "#";
const sizeText = bytes => bytes < 1024 ? `${bytes} bytes` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;

function receive(message) {
  if (message.interaction) answered(message.interaction.id);
  const list = messagesOf(message.channel);
  if (list.some(known => known.id === message.id)) return;
  const previous = list.at(-1) || null;
  state.messages.set(message.channel, [...list, message].slice(-KEPT_MESSAGES));
  if (message.channel !== state.open) {
    state.unread.set(message.channel, (state.unread.get(message.channel) || 0) + 1);
    renderChannels();
    return;
  }
  const down = isDown();
  appendMessage($("messages"), message, previous);
  $("messages").lastElementChild.classList.add("fresh");
  while ($("messages").childElementCount > KEPT_MESSAGES) $("messages").firstElementChild.remove();
  if (down) scrollDown(); else $("newer").hidden = false;
}

function replace(message) {
  const list = messagesOf(message.channel);
  const at = list.findIndex(known => known.id === message.id);
  if (at < 0) return;
  const down = isDown();
  list[at] = { ...list[at], ...message };
  const node = messageElement(message.id);
  if (node) node.replaceWith(messageNode(list[at], node.classList.contains("first")));
  if (down) scrollDown();
}

function remove(message) {
  state.messages.set(message.channel, messagesOf(message.channel).filter(known => known.id !== message.id));
  if (message.channel === state.open) renderMessages(state.channels.find(channel => channel.id === state.open));
}

const messageElement = id => [...$("messages").children].find(node => node.dataset.id === id);
const isDown = () => $("messages").scrollHeight - $("messages").scrollTop - $("messages").clientHeight < 80;
function scrollDown() {
  $("messages").scrollTop = $("messages").scrollHeight;
  $("newer").hidden = true;
}
function keepDown() {
  if ($("messages").scrollHeight - $("messages").scrollTop - $("messages").clientHeight < 260) scrollDown();
}

// --- What the games wrote ---

const LOG_LINE = /^(\d{4}-\d\d-\d\d )?(\d\d:\d\d:\d\d )(\[[A-Z]+\])?(.*)$/;

function logNode(line, other) {
  const node = el("li", { class: other });
  const parts = LOG_LINE.exec(line.text);
  if (line.source === "engine") node.append(el("span", { class: "engine", title: "factorio-current.log" }, line.text.trim()));
  else if (!parts) node.append(line.text);
  else node.append(el("span", { class: "stamp", title: parts[1] || "" }, parts[2]), el("span", { class: "tag" }, parts[3] || ""), parts[4]);
  return node;
}

// Engine lines of interest; the steps of a start and of a join, which the relay passes over too, are only counted.
const TELLING = / Script @|Saving (to|game|map|finished)|Quitting: |Goodbye|; Factorio |\(CreatingGame\) to\(InGame\)|Desynced|Error/;

function countPassedOver(list, other) {
  const last = list.lastElementChild;
  const row = last && last.dataset.count ? last : el("li", { class: `passed ${other}` });
  row.dataset.count = String(Number(row.dataset.count || 0) + 1);
  row.textContent = `⋯ ${row.dataset.count} engine line${row.dataset.count === "1" ? "" : "s"}`;
  return row;
}

function showLogLine(line) {
  if (!state.loggedServers.includes(line.server)) state.loggedServers.push(line.server);
  const other = state.loggedServers.indexOf(line.server) % 2 ? "other" : "";
  const list = $("log-lines");
  const down = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  if (state.lastLogged !== line.server) list.append(el("li", { class: `who ${other}` }, line.server));
  state.lastLogged = line.server;
  const telling = line.source !== "engine" || TELLING.test(line.text);
  list.append(telling ? logNode(line, other) : countPassedOver(list, other));
  while (list.childElementCount > KEPT_LOG_LINES) list.firstElementChild.remove();
  if (down) list.scrollTop = list.scrollHeight;
}

// --- Wires ---

async function load() {
  const answer = await fetch("/sim/state");
  const fresh = await answer.json();
  Object.assign(state, { guild: fresh.guild, bot: fresh.bot, channels: fresh.channels });
  state.messages = new Map(Object.entries(fresh.messages).map(([id, messages]) =>
    [id, messages.slice(-KEPT_MESSAGES).map(message => ({ ...message, channel: id }))]));
  $("guild-name").textContent = state.guild.name;
  $("guild-badge").textContent = state.guild.name.split(/\s+/).map(word => word[0]).join("").slice(0, 3);
  $("bot-name").textContent = state.bot.name;
  showYou(fresh.roles || []);
  const current = state.channels.find(channel => channel.id === state.open) || firstChannel();
  if (current) openChannel(current.id);
}

function listen() {
  const events = new EventSource("/sim/events");
  // What arrives while the state is on its way may or may not be part of it: it waits, and is looked up then.
  let waiting = null;
  const on = (name, handle) => events.addEventListener(name, event => {
    const data = JSON.parse(event.data);
    if (waiting) waiting.push(() => handle(data)); else handle(data);
  });
  const reload = async () => {
    waiting = [];
    try {
      await load();
      showConnection();
    } catch {
      showConnection("no state");
    }
    const late = waiting;
    waiting = null;
    late.forEach(handle => handle());
  };
  events.onopen = reload;
  events.onerror = () => showConnection("reconnecting");
  on("message", receive);
  on("edit", replace);
  on("delete", remove);
  on("private", message => {
    if (!message.interaction || !isYou({ name: message.interaction.user })) return;
    if (messagesOf(message.channel).some(known => known.id === message.id)) replace(message); else receive(message);
  });
  on("ack", acknowledged);
  on("status", ({ bot, channels, missed }) => {
    Object.assign(state.bot, bot);
    state.channels = channels;
    renderChannels();
    showHeading(channels.find(channel => channel.id === state.open));
    showConnection();
    if (missed) reload();
  });
}

// The bot's presence, as Discord knows it; or what is wrong between this page and its server.
function showConnection(trouble) {
  const online = !trouble && state.bot.online !== false;
  $("connection").textContent = trouble || (online ? state.bot.activity || "online" : "offline");
  $("connection").classList.toggle("live", online);
  $("connection").classList.toggle("idle", online && state.bot.status === "idle");
}

function listenToLogs() {
  const events = new EventSource("/sim/logs");
  // Every connection begins with the last lines again.
  events.onopen = () => { $("log-lines").replaceChildren(); state.lastLogged = null; };
  events.addEventListener("line", event => showLogLine(JSON.parse(event.data)));
}

async function showLinks() {
  const answer = await fetch("/sim/info");
  if (!answer.ok) return;
  const relay = (await answer.json()).relay;
  if (!relay) return;
  const link = path => el("a", { href: new URL(path, relay).href, target: "_blank", rel: "noopener" }, path);
  $("links").replaceChildren(...["/health", "/metrics", "/ready"].map(link));
}

function chooseTheme(light) {
  document.documentElement.classList.toggle("light", light);
}

chooseTheme(new URLSearchParams(location.search).get("theme") === "light" ||
  (!location.search.includes("theme=dark") && matchMedia("(prefers-color-scheme: light)").matches && location.search.includes("theme=auto")));
$("theme").onclick = () => chooseTheme(!document.documentElement.classList.contains("light"));
$("menu").onclick = () => $("app").classList.toggle("show-menu");
$("logs-toggle").onclick = () => {
  $("app").classList.toggle("show-logs");
  $("log-lines").scrollTop = $("log-lines").scrollHeight;
};
$("messages").onclick = () => $("app").classList.remove("show-menu");
$("newer").onclick = scrollDown;
$("messages").addEventListener("scroll", () => { if (isDown()) $("newer").hidden = true; });
startYou({
  // The state of a command of one's own: a row appears, changes or goes.
  pending: (row, gone) => {
    const known = messagesOf(row.channel).some(message => message.id === row.id);
    if (gone) { if (known) remove(row); } else if (known) replace(row); else receive(row);
  },
  renamed: () => { if (state.open) renderMessages(state.channels.find(channel => channel.id === state.open)); },
});
setInterval(() => age(document), 1000);
startComposer(state);
listen();
listenToLogs();
showLinks().catch(() => {});
