// Keeps the status page up to date: swaps the parts that the server says have changed, and counts times on.
"use strict";
(() => {
  const root = document.documentElement;
  const [link, said, age] = ["link", "said", "age"].map((id) => document.getElementById(id));
  const SILENCE = 20000; // The server speaks every second ...
  const LONG_SILENCE = 60000; // ... or, where too many watch, when it is asked: every 20 seconds at most.
  const RETRY = 10000;

  let seen = root.dataset.seen;
  let stream = null;
  let retry = 0;
  let heard = performance.now();
  let glances = false; // Whether too many watch, and each stream is one message.
  let answered = false; // Whether the stream has said something since it was last opened.
  let lostSince = null;
  // The clock of the server: that of the machine in front of the reader may go wrong.
  let ahead = Number(root.dataset.now) - Date.now();
  const now = () => Date.now() + ahead;

  // The two largest units: 3 d 4 h, 12 min 5 s.
  function forPeople(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
    if (d) return `${d} d ${h} h`;
    if (h) return `${h} h ${m} min`;
    return m ? `${m} min ${s % 60} s` : `${s} s`;
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function countOn() {
    for (const time of document.querySelectorAll("time[data-is]")) {
      const lasted = forPeople(now() - Date.parse(time.dateTime));
      say(time, time.dataset.is === "ago" ? `${lasted} ago` : `for ${lasted}`);
    }
    say(age, lostSince === null ? "" : `(${forPeople(now() - lostSince)})`);
  }

  // Makes `old` look like `next` and touches nothing that is the same: what is selected or focused stays so.
  function morph(old, next) {
    if (old.isEqualNode(next)) return old;
    if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName) {
      old.replaceWith(next);
      return next;
    }
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== next.data) old.data = next.data;
      return old;
    }
    if (old.nodeName === "TIME" && old.dateTime === next.dateTime && old.dataset.is === next.dataset.is) return old;
    for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of [...next.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const [mine, theirs] = [[...old.childNodes], [...next.childNodes]];
    theirs.forEach((child, at) => (at < mine.length ? morph(mine[at], child) : old.append(child)));
    mine.slice(theirs.length).forEach((child) => child.remove());
    return old;
  }

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return document.importNode(template.content, true).firstElementChild;
  }

  // A server stands among those that are well or those that are not, by its tag.
  function place(card) {
    const list = document.getElementById(card.dataset.list);
    if (card.parentNode === list) return;
    const after = [...list.children].find((other) => other.id > card.id);
    list.insertBefore(card, after || null);
  }

  function show(id, html) {
    const next = parse(html);
    const old = document.getElementById(id);
    const element = old ? morph(old, next) : next;
    if (element.dataset.list) place(element);
  }

  function forgetServersBut(parts) {
    for (const card of document.querySelectorAll("[data-list]")) if (!(card.id in parts)) card.remove();
  }

  function update(event) {
    const told = JSON.parse(event.data);
    if (told.version !== root.dataset.version) return location.reload();
    heard = performance.now();
    answered = true;
    glances = event.type === "glance";
    ahead = told.now - Date.now();
    seen = event.lastEventId;
    for (const [id, html] of Object.entries(told.parts)) show(id, html);
    if (told.all) forgetServersBut(told.parts);
    found();
    countOn();
  }

  function found() {
    lostSince = null;
    root.classList.remove("stale");
    link.className = glances ? "quiet" : "live quiet";
    say(said, glances ? "Every 15 seconds: many watch" : "Live");
    const headline = document.querySelector("h1");
    document.title = headline ? `${headline.textContent} · factorio-isr` : "factorio-isr";
  }

  function lost(what) {
    if (lostSince === null) lostSince = now() - (performance.now() - heard);
    root.classList.add("stale");
    link.className = "lost";
    say(said, `${what} since ${new Date(lostSince).toISOString().slice(11, 19)} UTC`);
    document.title = `${what} · factorio-isr`;
    countOn();
  }

  function open() {
    close();
    heard = performance.now();
    stream = new EventSource(`/events?seen=${encodeURIComponent(seen)}`);
    stream.addEventListener("update", update);
    stream.addEventListener("glance", update);
    stream.addEventListener("error", () => {
      const over = glances && answered;
      answered = false;
      if (over) return; // It has said its message, and the browser opens it again in a while.
      // One that broke comes back by itself, one that was refused does not.
      const refused = stream.readyState === EventSource.CLOSED;
      lost(refused ? "Live updates are refused" : "Connection lost");
      if (refused) retry = setTimeout(open, RETRY);
    });
  }

  function close() {
    clearTimeout(retry);
    if (stream) stream.close();
    stream = null;
  }

  function tick() {
    if (document.hidden) return;
    const silence = glances ? LONG_SILENCE : SILENCE;
    if (stream && stream.readyState !== EventSource.CLOSED && performance.now() - heard > silence) {
      lost("Connection lost");
      open();
    }
    countOn();
  }

  // Who does not look needs no news.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
  setInterval(tick, 1000);
})();
