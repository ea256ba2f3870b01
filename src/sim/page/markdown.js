// Discord's markdown as Discord renders it, built of text nodes. What the relay failed to escape shows here.

const ESCAPABLE = /^\\([^A-Za-z0-9\s])/u;
const URL_RUN = /^https?:\/\/[^\s<]+[^<.,:;"'\]\s]/;

function node(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function renderMarkdown(text, names) {
  const out = document.createDocumentFragment();
  // Fences first: nothing inside them is markdown.
  let rest = text;
  let fence;
  while ((fence = /```(?:([a-z0-9_+-]+)\n)?\n?([^]+?)\n?```\n?/i.exec(rest)) && !escapedAt(rest, fence.index)) {
    out.append(blocks(rest.slice(0, fence.index), names), node("pre", "", node("code", "", fence[2])));
    rest = rest.slice(fence.index + fence[0].length);
  }
  out.append(blocks(rest, names));
  return out;
}

function escapedAt(text, index) {
  let count = 0;
  while (text[index - 1 - count] === "\\") count += 1;
  return count % 2 === 1;
}

const BLOCKS = [
  [/^(#{1,3}) +(.+)$/, (found, names) => node("h4", `h${found[1].length}`, inline(found[2], names))],
  [/^-# +(.+)$/, (found, names) => node("div", "subtext", inline(found[1], names))],
  [/^> (.*)$/, (found, names) => node("blockquote", "", inline(found[1], names))],
  [/^ *[-*] +(.+)$/, (found, names) => node("ul", "", node("li", "", inline(found[1], names)))],
  [/^ *(\d+)\. +(.+)$/, (found, names) => {
    const list = node("ol", "ol", node("li", "", inline(found[2], names)));
    list.start = Number(found[1]);
    return list;
  }],
];

function blocks(text, names) {
  const out = document.createDocumentFragment();
  const rest = /^>>> ([^]*)$/m.exec(text);
  if (rest) {
    out.append(blocks(text.slice(0, rest.index), names), node("blockquote", "", blocks(rest[1], names)));
    return out;
  }
  let plain = [];
  const flush = () => {
    if (plain.length) out.append(inline(plain.join("\n"), names));
    plain = [];
  };
  for (const line of text.split("\n")) {
    const found = BLOCKS.map(([pattern, make]) => [pattern.exec(line), make]).find(([match]) => match);
    if (!found) { plain.push(line); continue; }
    if (plain.length) flush();
    out.append(found[1](found[0], names));
  }
  flush();
  return out;
}

// Each rule: where it may begin, and what it makes of what it found. The first that fits wins.
const INLINE = [
  [ESCAPABLE, found => found[1]],
  [/^(`+)([^]*?[^`])\1(?!`)/, found => node("code", "", found[2])],
  [/^\[((?:\\.|[^\[\]\\])+)\]\(<?(https?:\/\/[^\s<>)]+)>?\)/, (found, names) => link(found[2], inline(found[1], names, true))],
  [/^<(https?:\/\/[^\s<>]+)>/, found => link(found[1], found[1])],
  [URL_RUN, found => link(found[0], found[0])],
  [/^<t:(-?\d+)(?::([tTdDfFR]))?>/, found => stamp(Number(found[1]), found[2] || "f")],
  [/^<@!?(\d+)>/, () => node("span", "mention", "@user")],
  [/^<@&(\d+)>/, () => node("span", "mention", "@role")],
  [/^<#(\d+)>/, (found, names) => node("span", "mention", `#${channelName(found[1], names)}`)],
  [/^<a?:(\w{2,}):\d+>/, found => node("span", "mention", `:${found[1]}:`)],
  [/^<\/([\w -]+):\d+>/, found => node("span", "mention", `/${found[1]}`)],
  [/^@(everyone|here)\b/, found => node("span", "mention all", found[0])],
  [/^\|\|([^]+?)\|\|/, (found, names) => spoiler(inline(found[1], names))],
  [/^\*\*\*((?:\\[^]|[^\\])+?)\*\*\*/, (found, names) => node("strong", "", node("em", "", inline(found[1], names)))],
  [/^\*\*((?:\\[^]|[^\\])+?)\*\*(?!\*)/, (found, names) => node("strong", "", inline(found[1], names))],
  [/^__((?:\\[^]|[^\\])+?)__(?!_)/, (found, names) => node("u", "", inline(found[1], names))],
  [/^~~((?:\\[^]|[^\\])+?)~~/, (found, names) => node("s", "", inline(found[1], names))],
  [/^\*(?=\S)((?:\\[^]|[^\\*])+?)\*(?!\*)/, (found, names) => node("em", "", inline(found[1], names))],
  [/^_((?:\\[^]|[^\\_])+?)_(?!\w)/, (found, names) => node("em", "", inline(found[1], names))],
];

function inline(text, names) {
  const out = document.createDocumentFragment();
  let plain = "";
  let at = 0;
  while (at < text.length) {
    const made = special(text, at, names);
    if (!made) {
      plain += text[at];
      at += 1;
      continue;
    }
    out.append(plain, made.node);
    plain = "";
    at += made.length;
  }
  out.append(plain);
  return out;
}

function special(text, at, names) {
  if (!/[\\`[<h@|*_~]/.test(text[at])) return null;
  // An underscore inside a word is no markup.
  if (text[at] === "_" && text[at + 1] !== "_" && /\w/.test(text[at - 1] || "")) return null;
  const rest = text.slice(at);
  for (const [pattern, make] of INLINE) {
    const found = pattern === URL_RUN ? bareUrl(rest) : pattern.exec(rest);
    if (found) return { node: make(found, names), length: found[0].length };
  }
  return null;
}

// A closing bracket that was not opened inside the address is not part of it.
function bareUrl(text) {
  const found = URL_RUN.exec(text);
  if (found && found[0].endsWith(")") && !found[0].includes("(")) found[0] = found[0].slice(0, -1);
  return found;
}

function link(address, content) {
  const made = node("a", "", content);
  made.href = address;
  made.title = address;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

function spoiler(content) {
  const made = node("span", "spoiler", content);
  made.addEventListener("click", () => made.classList.add("shown"));
  return made;
}

const channelName = (id, names) => (names.channels.find(channel => channel.id === id) || { name: "unknown" }).name;

const STYLES = {
  t: { timeStyle: "short" }, T: { timeStyle: "medium" }, d: { dateStyle: "short" }, D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" }, F: { dateStyle: "full", timeStyle: "short" },
};

function stamp(seconds, style) {
  const at = new Date(seconds * 1000);
  const made = node("span", "stamp", style === "R" ? relative(seconds) : at.toLocaleString(undefined, STYLES[style]));
  made.title = at.toLocaleString();
  if (style === "R") made.dataset.since = String(seconds);
  return made;
}

// Relative times age by themselves, as in Discord: no message is edited for that.
export function age(root) {
  for (const made of root.querySelectorAll(".stamp[data-since]")) made.textContent = relative(Number(made.dataset.since));
}

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function relative(seconds) {
  const away = seconds - Date.now() / 1000;
  const [unit, length] = UNITS.find(([, length]) => Math.abs(away) >= length) || UNITS.at(-1);
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(Math.round(away / length), unit);
}
