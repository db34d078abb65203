// Penchant in a page: tells what is seen and clicked, and fills lists. docs/browser.md says how to use it.
// Events get their ids here and go as plain text: sending one again is harmless, and no preflight is asked for.
(() => {
  const page = document, {src, dataset: {key}} = page.currentScript, MARK = "[data-penchant-item]";
  const waiting = new Map(), seen = new Set(), timers = new WeakMap(), live = new Set();
  let session, timer, flight, failures = 0;

  const hex = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => (b + 256).toString(16).slice(1)).join("");
  const url = (path, said) => new URL(`v1/${path}?${new URLSearchParams(key ? {...said, key} : said)}`, src);
  const warn = (...said) => console.warn("Penchant:", ...said);

  try { session = localStorage.penchant; } catch { warn("no storage: every page is a new visitor"); }
  if (!/^s\.[0-9a-f]{32}$/.test(session)) {
    session = "s." + hex();
    // where this fails, it was told above
    try { localStorage.penchant = session; } catch {}
  }

  // events
  const batch = () => [...waiting.values()].slice(0, 50);
  const settle = events => events.forEach(({id}) => waiting.delete(id));
  const later = ms => { timer ??= setTimeout(flush, ms); };

  const send = event => {
    const id = hex();
    waiting.set(id, {...event, id, user: session});
    if (waiting.size > 1000) {
      waiting.delete(waiting.keys().next().value);
      warn("too many wait: an event is lost");
    }
    waiting.size == 50 ? flush() : later(2000);
  };

  const flush = () => {
    clearTimeout(timer);
    timer = null;
    return flight ??= post().catch(warn).finally(() => {
      flight = null;
      if (waiting.size) later(2000);
    });
  };

  const post = async () => {
    for (let events; (events = batch())[0];) {
      // a browser lets no more than 64 KB outlive a page
      const body = JSON.stringify(events);
      const answer = await fetch(url("events"), {method: "POST", body, keepalive: body.length < 6e4}).catch(warn);
      if (!answer || answer.status == 429 || answer.status > 499)
        return later(Math.random() * Math.min(6e4, 1000 * 2 ** ++failures));
      failures = 0;
      settle(events);
      const {refused, detail} = await answer.json();
      if (refused || detail) warn("refused:", detail, refused);
    }
  };

  const leave = () => {
    for (let events; (events = batch())[0];) {
      if (!navigator.sendBeacon(url("events"), JSON.stringify(events))) return;
      settle(events);
    }
  };

  // what is seen and clicked
  const itemOf = element => element.dataset.penchantItem;
  const eye = new IntersectionObserver(entries => entries.forEach(({target, intersectionRatio}) => {
    clearTimeout(timers.get(target));
    if (intersectionRatio >= .5) timers.set(target, setTimeout(see, 1000, itemOf(target)));
  }), {threshold: .5});

  const see = item => {
    if (page.hidden || seen.has(item)) return;
    seen.add(item);
    send({action: "view", item});
  };

  const all = css => page.querySelectorAll(css);
  const look = () => all(MARK).forEach(one => seen.has(itemOf(one)) || eye.observe(one));

  const click = ({target, button}) => {
    const marked = target.closest(MARK);
    if (!marked || button > 1) return;
    send({action: "click", item: itemOf(marked)});
    if (live.size) flush().then(() => live.forEach(fill => fill()));
  };

  // lists; what is put in is text or a plain attribute, never markup
  const cast = (id, values) => {
    const part = page.getElementById(id).content.firstElementChild.cloneNode(true);
    const put = (text, write = String) => text.replace(/{(\w+)}/g, (_, name) => write(values[name] ?? ""));
    for (const element of [part, ...part.querySelectorAll("*")]) {
      for (const node of element.childNodes) if (node.nodeType == 3) node.data = put(node.data);
      for (const {name, value} of [...element.attributes]) {
        const link = /^(href|src)$/.test(name);
        if (!link && !/^(alt|title|data-.+)$/.test(name)) continue;
        const said = put(value, link && value[0] != "{" ? encodeURIComponent : String);
        element.setAttribute(name, !link || /^https?:/.test(new URL(said, page.baseURI)) ? said : "");
      }
    }
    return part;
  };

  const list = (place, {limit = 10, render = one => one.item, live: again} = {}) => {
    const element = place.nodeType ? place : page.querySelector(place);
    const made = one => {
      const shown = render(one);
      const part = shown.nodeType ? shown : page.createElement(/L$/.test(element.tagName) ? "li" : "div");
      if (part != shown) part.textContent = shown;
      part.dataset.penchantItem = one.item;
      return part;
    };
    const fill = async () => {
      const {items, detail} = await (await fetch(url("recommend", {user: session, limit}))).json();
      if (!items?.[0]) throw detail;
      const known = await penchant.fields?.(items.map(one => one.item));
      element.replaceChildren(...items.map(one => made({...known?.[one.item], ...one})));
      return items;
    };
    const kept = () => fill().catch(error => warn("a list stays as it is:", error));
    if (again) live.add(() => element.isConnected && kept());
    return kept();
  };

  const start = () => {
    all("[data-penchant-list]").forEach(place => {
      const {limit, template} = place.dataset;
      list(place, {limit, live: "live" in place.dataset, render: template && (one => cast(template, one))});
    });
    look();
    new MutationObserver(look).observe(page, {childList: true, subtree: true});
  };

  const on = (name, what) => addEventListener(name, what, true);
  on("click", click);
  on("auxclick", click);
  on("pagehide", leave);
  on("visibilitychange", () => {
    if (page.hidden) return leave();
    // what came into view while nobody looked is seen from now on
    eye.disconnect();
    look();
  });
  window.penchant = Object.assign(window.penchant ?? {}, {session, send, flush, list});
  page.readyState == "loading" ? on("DOMContentLoaded", start) : start();
})();
