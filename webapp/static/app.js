// Keys, undo, toasts, times in the reader's own zone, and regions that stay up to date. Everything also works by mouse;
// forms also work without this file.
(() => {
  "use strict";
  const EVERY = 2500, TOAST = 9000, MOST_UNDO = 30;
  const one = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // ---- every change carries the session's token
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = one('meta[name="csrf-token"]').content;
  });

  // ---- times
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const dayName = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
  const dayYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
  function inWords(at, form) {
    const midnight = new Date(); midnight.setHours(0, 0, 0, 0);
    const days = Math.ceil((midnight - at) / 864e5);
    const day = days <= 0 && days > -1 ? "today" : days === 1 ? "yesterday"
      : Math.abs(days) < 200 ? dayName.format(at) : dayYear.format(at);
    return form === "day" ? day : `${day} ${clock.format(at)}`;
  }
  function tellTimes(root) {
    for (const time of all("time[data-form]", root)) {
      const at = new Date(time.dateTime);
      time.title = time.title || time.textContent;
      time.textContent = inWords(at, time.dataset.form);
    }
  }

  // ---- toasts and undo
  const undos = () => JSON.parse(sessionStorage.getItem("undo") || "[]");
  const keepUndos = (list) => {
    sessionStorage.setItem("undo", JSON.stringify(list.slice(-MOST_UNDO)));
    showUndo();
  };
  function showUndo() {
    for (const button of all("[data-undo]")) button.disabled = !undos().length;
  }
  function undo() {
    const list = undos(), last = list.pop();
    if (!last) return toast({ text: "There is nothing to take back." });
    keepUndos(list);
    const send = () => htmx.ajax(last.method, last.url, { source: document.body, swap: "none" });
    renewing = renewing.then(send).catch(() => {});  // after what is under way: a second request of one element would be dropped
  }
  function toast(told) {
    const box = document.createElement("div");
    box.className = told.bad ? "toast bad" : "toast";
    const text = document.createElement("span");
    text.textContent = told.text;
    box.append(text);
    if (told.undo) {
      keepUndos([...undos(), told.undo]);
      const button = document.createElement("button");
      button.type = "button";
      button.innerHTML = "Undo <kbd>z</kbd>";
      button.addEventListener("click", () => { box.remove(); undo(); });
      box.append(button);
    }
    const region = one("#toasts");
    region.replaceChildren(box);
    setTimeout(() => box.remove(), told.bad ? TOAST * 1.5 : TOAST);
  }
  document.addEventListener("toast", (event) => { if (event.detail.text) toast(event.detail); });
  document.addEventListener("htmx:sendError", () => toast({ text: "The server cannot be reached. Nothing was changed.", bad: true }));
  document.addEventListener("htmx:responseError", (event) => {
    if (!event.detail.xhr.getResponseHeader("hx-trigger")) toast({ text: "That did not work. Nothing was changed.", bad: true });
  });

  // ---- showing a page again in place
  document.addEventListener("renew", (event) => renew(event.detail.item));
  let renewing = Promise.resolve(), turns = 0;
  const renew = (item) => (renewing = renewing.then(() => again(item)).catch(() => {}));
  async function again(item) {
    turns += 1;
    const here = new URL(location.href);
    if (here.pathname === "/" && item !== null && item !== undefined) {
      item ? here.searchParams.set("item", item) : here.searchParams.delete("item");
      history.replaceState(null, "", here);
    }
    const focus = document.activeElement?.id, scrolled = one(".board")?.scrollLeft;
    await htmx.ajax("GET", here.pathname + here.search, { target: "#main", select: "#main", swap: "outerHTML" });
    if (scrolled) one(".board").scrollLeft = scrolled;
    (focus && document.getElementById(focus) || one("#case") || one("#main")).focus({ preventScroll: true });
  }
  document.addEventListener("htmx:load", (event) => arrive(event.detail.elt));
  document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "case") choose(); });

  // ---- the queue of review
  const lines = () => all(".queue .line");
  function choose() {
    const key = one("#case")?.dataset.item;
    for (const line of lines()) {
      line.dataset.item === key ? line.setAttribute("aria-current", "true") : line.removeAttribute("aria-current");
    }
    one(".queue .line[aria-current]")?.scrollIntoView({ block: "nearest" });
    document.body.classList.toggle("has-sheet", Boolean(one(".review.opened .case:not(.nothing)")));
  }
  function step(by) {
    const list = lines(), at = list.findIndex((line) => line.hasAttribute("aria-current"));
    list[Math.max(0, Math.min(list.length - 1, at + by))]?.click();
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest(".queue .line")) one(".review")?.classList.add("opened");
    if (event.target.closest("[data-undo]")) undo();
    if (event.target.closest("[data-help]")) help();
    if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
    for (const open of all("details.panel[open], details.who[open]")) if (!open.contains(event.target)) open.open = false;
  });

  // ---- people to take in: one is current, several may be ticked
  const offers = () => all(".offer");
  let offerAt = 0;
  function atOffer(place) {
    const list = offers();
    if (!list.length) return;
    offerAt = Math.max(0, Math.min(list.length - 1, place));
    list.forEach((row, at) => at === offerAt ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current"));
    list[offerAt].scrollIntoView({ block: "nearest" });
  }
  function tellTicked() {
    const count = all(".offer :checked").length, told = one("#ticked");
    if (told) told.textContent = count ? `${count} ticked` : "";
  }
  const tick = () => one(".offer[aria-current] input")?.click();
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-ticks]") && !all(".offer :checked").length) {
      const box = one(".offer[aria-current] input") || one(".offer input");
      if (box) box.checked = true;
    }
    if (event.target.closest("[data-tick-all]")) {
      const boxes = all(".offer input[type=checkbox]"), on = boxes.some((box) => !box.checked);
      for (const box of boxes) box.checked = on;
    }
    tellTicked();
  }, true);

  // ---- keys
  const help = () => { const box = one("#help"); box.open ? box.close() : box.showModal(); };
  const typing = (node) => node.closest?.("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const open = one("details.panel[open], details.who[open]");
      if (open) { open.open = false; one("summary", open).focus(); }
      else if (typing(event.target)) event.target.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (one("dialog[open]") && event.key !== "?") return;
    const within = one("details.panel[open]");
    const target = (within && one(`[data-key="${CSS.escape(event.key)}"]`, within)) || one(`[data-key="${CSS.escape(event.key)}"]`);
    const own = { j: () => offers().length ? atOffer(offerAt + 1) : step(1), k: () => offers().length ? atOffer(offerAt - 1) : step(-1), x: tick, z: undo, "?": help, "/": () => one("#q").focus() }[event.key];
    if (!target && !own) return;
    event.preventDefault();
    target && !(target.disabled && own) ? target.click() : own();  // a page that has just been swapped in has not enabled Undo yet
  });
  document.addEventListener("toggle", (event) => {
    const panel = event.target;
    if (!panel.matches?.("details.panel") || !panel.open) return;
    one("[data-first], input:not([type=hidden]), select, button", one(".sheet", panel))?.focus();
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });
  document.addEventListener("htmx:confirm", (event) => {
    const words = event.detail.elt.dataset.sure;
    if (!words) return;
    event.preventDefault();
    if (confirm(words)) event.detail.issueRequest(true);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target, words = form.dataset.sure;
    if (words && !form.matches("[hx-post], [hx-delete]") && !confirm(words)) event.preventDefault();
  });

  // ---- regions that stay up to date: asked for every few seconds, 204 while nothing changed
  const busy = (node) => node.contains(document.activeElement) && typing(document.activeElement) || one("details[open]:not(.calm)", node);
  function merge(old, fresh) {
    const have = new Map([...old.children].map((node) => [node.id, node]));
    const order = [...fresh.children].map((node) => {
      const known = have.get(node.id);
      if (known && (known.dataset.v === node.dataset.v || busy(known))) return known;
      const made = document.importNode(node, true);
      if (!known && have.size && node.dataset.v) made.classList.add("fresh");
      return made;
    });
    order.forEach((node, place) => { if (old.children[place] !== node) old.insertBefore(node, old.children[place] || null); });
    for (const node of [...old.children]) if (!order.includes(node)) node.remove();
    for (const node of order) if (!have.has(node.id) || have.get(node.id) !== node) { htmx.process(node); tellTimes(node); }
  }
  function place(text) {
    let whole = true;
    for (const fresh of all("[data-region]", new DOMParser().parseFromString(text, "text/html"))) {
      const old = document.getElementById(fresh.id);
      if (!old) continue;
      if (fresh.dataset.region === "keyed") merge(old, fresh);
      else if (busy(old)) whole = false;
      else if (old.outerHTML !== fresh.outerHTML) {
        const made = document.importNode(fresh, true);
        old.replaceWith(made);
        htmx.process(made);
        tellTimes(made);
      }
    }
    choose();
    showUndo();
    return whole;
  }
  let asking = false;
  async function look() {
    const main = one("#main[data-live]");
    if (!main || asking || document.hidden) return;
    asking = true;
    const turn = turns;
    try {
      const address = new URL(main.dataset.live, location.href);
      address.searchParams.set("v", main.dataset.version || "");
      const item = one("#case")?.dataset.item;
      if (item) address.searchParams.set("item", item);
      const shown = all("#stream > .entry").length;
      if (shown) address.searchParams.set("shown", shown);
      const answer = await fetch(address, { headers: { "X-Live": "1" }, redirect: "error" });
      const text = await answer.text();
      const stale = turn !== turns || !main.isConnected || item !== one("#case")?.dataset.item;  // it moved on meanwhile
      if (answer.status === 200 && !stale && place(text)) {
        main.dataset.version = answer.headers.get("x-version") || "";
      }
    } catch { /* the next look tries again */ } finally { asking = false; }
  }
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);

  // ---- the board
  function sortable(root) {
    for (const list of all(".cards[data-stage]", root)) {
      if (list.dataset.ready || !window.Sortable || !matchMedia("(min-width: 761px)").matches) continue;
      list.dataset.ready = "1";
      Sortable.create(list, {
        group: "deals", sort: false, draggable: ".deal-card", filter: "button, summary, select", preventOnFilter: false,
        animation: calm() ? 0 : 120, onEnd: dropped,
      });
    }
  }
  function dropped(event) {
    if (event.from === event.to) return;
    const deal = event.item.dataset.deal, stage = event.to.dataset.stage;
    if (event.to.dataset.asks) location.assign(`/deals/${deal}/move?stage=${stage}`);
    else htmx.ajax("POST", `/deals/${deal}/stage`, { source: document.body, swap: "none", values: { stage_id: stage } }).then(() => renew());
  }

  function arrive(root) {
    tellTimes(root);
    sortable(root);
    showUndo();
    if (root.id === "main" || root === document.body) { choose(); atOffer(offerAt); tellTicked(); }
  }
  document.addEventListener("DOMContentLoaded", () => {
    const said = one("#said");
    if (said) toast(JSON.parse(said.dataset.told));
    arrive(document.body);
  });
})();
