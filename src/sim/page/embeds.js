// Embeds and buttons as Discord draws them, built of text nodes.
import { el } from "/dom.js";
import { renderMarkdown } from "/markdown.js";

const web = address => /^https?:\/\//.test(address || "");

function marked(tag, className, text, names) {
  const node = el(tag, { class: className });
  node.append(renderMarkdown(String(text), names));
  return node;
}

export const renderEmbeds = (embeds, names, files) => (embeds || []).map(embed => renderEmbed(embed, names, files || []));

// Files of a message that are pictures in one of its embeds stand nowhere else.
const pictureName = embed => /^attachment:\/\/(.+)$/.exec((embed.image && embed.image.url) || "")?.[1];
export const outsideEmbeds = (files, embeds) => (files || []).filter(file => !(embeds || []).some(embed => pictureName(embed) === file.filename));

export function picture(file) {
  const shown = el("img", { class: "picture", src: new URL(file.url, location.href).pathname, alt: file.alt || file.filename, title: file.alt || file.filename });
  return el("a", { href: new URL(file.url, location.href).pathname, target: "_blank" }, shown);
}

function renderEmbed(embed, names, files) {
  const node = el("div", { class: "embed" });
  if (Number.isInteger(embed.color)) node.style.borderLeftColor = `#${(embed.color & 0xffffff).toString(16).padStart(6, "0")}`;
  if (embed.author) node.append(el("div", { class: "by" }, String(embed.author.name || "")));
  if (embed.title) {
    const title = marked("div", "title", embed.title, names);
    node.append(web(embed.url) ? el("a", { href: embed.url, target: "_blank", rel: "noopener noreferrer" }, title) : title);
  }
  if (embed.description) node.append(marked("div", "content", embed.description, names));
  if ((embed.fields || []).length) node.append(el("div", { class: "fields" }, ...embed.fields.map(field => renderField(field, names))));
  const image = files.find(file => file.filename === pictureName(embed));
  if (image) node.append(picture(image));
  const foot = [embed.footer && embed.footer.text, embed.timestamp && when(new Date(embed.timestamp))].filter(Boolean);
  if (foot.length) node.append(el("footer", {}, foot.join(" • ")));
  return node;
}

const clock = { hour: "2-digit", minute: "2-digit" };
const when = at => at.toDateString() === new Date().toDateString() ? `Today at ${at.toLocaleTimeString(undefined, clock)}` : at.toLocaleString();

const renderField = (field, names) => el("div", { class: field.inline ? "field inline" : "field" },
  marked("b", "name", field.name, names), marked("div", "content", field.value, names));

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link" };

// Rows of buttons; `press` is told the component's id.
export function renderButtons(rows, press) {
  return (rows || []).filter(row => row.type === 1).map(row => el("div", { class: "buttons" }, ...(row.components || []).map(part => button(part, press))));
}

function button(part, press) {
  const label = [part.emoji && part.emoji.name, part.label].filter(Boolean).join(" ");
  if (part.style === 5) return el("a", { class: "link", href: web(part.url) ? part.url : "#", target: "_blank", rel: "noopener noreferrer" }, `${label} ↗`);
  const made = el("button", { type: "button", class: STYLES[part.style] || "secondary", onclick: () => press(part.custom_id) }, label);
  made.disabled = Boolean(part.disabled);
  return made;
}
