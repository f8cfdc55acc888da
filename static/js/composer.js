/* The boxes under a conversation. The text leaves the box at once and stands in the thread as "on its
   way" until the server has it; nothing that was written is lost, whatever goes wrong. */

const DRAFT_AFTER = 900; // milliseconds without a key
const ANSWER_WITHIN = 60_000;
const UPLOAD_WITHIN = 300_000;
const MINUTE = 60_000;
const KINDS = ["reply", "note"];

function freshId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // a page without https
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // private browsing
  }
}

function store(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    /* kept for this page only */
  }
}

function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function filled(text, values) {
  return Object.entries(values).reduce((said, [name, value]) => said.replace(`%(${name})s`, value), text);
}

function bytes(size) {
  const [value, unit] = size < 1_000_000 ? [size / 1000, "kilobyte"] : [size / 1_000_000, "megabyte"];
  const how = { style: "unit", unit, maximumFractionDigits: value < 10 ? 1 : 0 };
  return new Intl.NumberFormat(document.documentElement.lang, how).format(value);
}

class Composer {
  constructor(section) {
    this.section = section;
    this.files = []; // chosen, not sent yet: {file, kind, error, row}
    this.quoted = null;
    this.queue = [];
    this.waiting = new Map(); // client id → what is on its way
    this.done = new Set(); // client ids of what has left the outbox
    this.isBusy = false;
    this.drafts = { reply: {}, note: {} }; // {timer, request, isStored}
    this.restoreDrafts();
    this.restoreOutbox();
    this.dressBox();
  }

  /** The page drew the conversation anew, perhaps as the next session of its ticket: what was typed
      and what is on its way goes along. */
  moveTo(section) {
    const { kind } = this;
    const typed = KINDS.map((one) => [one, this.typed(one)]);
    if (section.dataset.composer !== this.session) {
      this.quoted = null; // it stands in another thread now
      for (const one of KINDS) store(this.draftKey(one), "");
      this.keepOutbox([]);
    }
    this.section = section;
    for (const [one, text] of typed) {
      if (text !== undefined && text !== this.typed(one)) this.put(one, text);
    }
    for (const item of [...this.waiting.values()]) {
      if (isInThread(item)) this.settle(item);
      else this.outbox.append(item.row);
    }
    this.keepOutbox();
    if (section.querySelector(`[data-panel="${kind}"]`)) this.select(kind, { focus: false });
    this.dressBox();
  }

  isFor(section) {
    const { composer, ticket } = section.dataset;
    return composer === this.session || (ticket !== undefined && ticket === this.section.dataset.ticket);
  }

  // --- Parts

  get session() {
    return this.section.dataset.composer;
  }

  get words() {
    return this.section.querySelector("[data-words]").dataset;
  }

  form(kind) {
    return this.section.querySelector(`form[data-compose="${kind}"]`);
  }

  area(kind) {
    return this.form(kind)?.elements.text;
  }

  /** Where the text stays while no text is taken. */
  get kept() {
    return this.section.querySelector("[data-kept] textarea");
  }

  /** A note may not become a reply, and a file is no text. */
  mayKeep(item) {
    return Boolean(item.kind === "reply" && this.kept && !item.file);
  }

  /** Where the text stands: to be written on, or only kept. */
  field(kind) {
    return this.area(kind) ?? (kind === "reply" ? this.kept : null);
  }

  /** What stands in the box; undefined where nobody could have emptied it. */
  typed(kind) {
    return this.area(kind)?.value ?? (this.field(kind)?.value || undefined);
  }

  put(kind, text) {
    const area = this.area(kind);
    if (!area) {
      if (kind === "reply") this.keepBeside(text);
      return;
    }
    area.value = text;
    store(this.draftKey(kind), text);
    this.saveSoon(kind);
    this.look(area);
  }

  get kind() {
    return this.section.classList.contains("isnote") ? "note" : "reply";
  }

  get outbox() {
    return document.getElementById(`outbox-${this.session}`);
  }

  get poller() {
    return document.getElementById(`poller-${this.session}`);
  }

  get token() {
    return this.section.querySelector("[name=csrfmiddlewaretoken]").value;
  }

  /** What the thread showed at this moment: the server holds a reply that has not seen the rest. */
  get seen() {
    const of = (name) => this.poller?.querySelector(`[name=${name}]`)?.value ?? "";
    return { seen_message: of("seen_message"), seen_assignee: of("seen_assignee") };
  }

  // --- Tabs

  select(kind, { focus = true } = {}) {
    this.section.classList.toggle("isnote", kind === "note");
    for (const tab of this.section.querySelectorAll("[role=tab]")) {
      const isChosen = tab.dataset.tab === kind;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    }
    for (const panel of this.section.querySelectorAll("[role=tabpanel]")) {
      panel.hidden = panel.dataset.panel !== kind;
    }
    if (focus) this.area(kind)?.focus();
  }

  // --- Sending

  send(form) {
    const kind = form.dataset.compose;
    const area = form.elements.text;
    const files = kind === "reply" ? this.files.filter((one) => !one.error) : [];
    if (!area.value.trim() && !files.length) {
      area.focus();
      return;
    }
    const common = {
      kind,
      url: form.action,
      ticket: form.elements.ticket?.value ?? "",
      sign: form.elements.sign?.checked ? "1" : "",
      seen: this.seen,
      at: Date.now(),
    };
    const parts = files.length ? files : [null];
    parts.forEach((one, number) => {
      const item = { ...common, client: freshId(), text: number ? "" : area.value };
      item.replyTo = number || !this.quoted ? "" : this.quoted;
      if (one) Object.assign(item, { file: one.file, fileName: one.file.name, as: one.kind });
      this.draw(item);
      this.queue.push(item);
    });
    this.forgetDraft(kind);
    area.value = "";
    if (kind === "reply") {
      this.files = this.files.filter((one) => one.error);
      this.showFiles();
      this.unquote();
      this.look(area);
    }
    this.keepOutbox();
    const { isStored, request } = this.drafts[kind];
    if (isStored || request) this.save(kind); // else it comes back beside what is on its way
    area.focus();
    this.pump();
  }

  async pump() {
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      while (this.queue.length) await this.deliver(this.queue.shift());
    } finally {
      this.isBusy = false;
    }
  }

  async deliver(item) {
    const answer = await this.post(item);
    if (!this.waiting.has(item.client)) return; // a poll was faster, and brought it
    try {
      this.receive(item, answer);
    } catch (error) {
      if (this.waiting.has(item.client)) this.fail(item, this.section.dataset.offline);
      reportError(error); // and the next one goes
    }
  }

  receive(item, { type, status, html }) {
    const { offline, loggedOut } = this.section.dataset;
    if (type === "opaqueredirect" || status === 401) {
      this.fail(item, loggedOut);
    } else if (status >= 200 && status < 300) {
      this.settle(item);
      this.swap(html);
    } else if (status === 403 || status === 404) {
      this.refuse(item, html, document.body.dataset.refused); // a token of an earlier login, above all
    } else if ((status >= 400 && status < 500) || status === 503) {
      this.refuse(item, html, offline);
    } else {
      this.fail(item, offline);
    }
  }

  /** The answer in full, or nothing of it where the connection was cut. */
  async post(item) {
    const body = new FormData();
    const fields = {
      csrfmiddlewaretoken: this.token,
      text: item.text,
      client_id: item.client,
      reply_to: item.replyTo ?? "",
      ticket: item.ticket,
      sign: item.sign,
      kind: item.as ?? "",
      ...item.seen,
      ...Object.fromEntries(new URLSearchParams(this.poller?.dataset.shown)),
    };
    for (const [name, value] of Object.entries(fields)) if (value) body.append(name, value);
    if (item.file) body.append("file", item.file, item.file.name);
    const signal = AbortSignal.timeout?.(item.file ? UPLOAD_WITHIN : ANSWER_WITHIN);
    const headers = { "HX-Request": "true" };
    const url = this.form(item.kind)?.action ?? item.url; // a ticket goes on in another session
    try {
      const answer = await fetch(url, { method: "POST", body, headers, redirect: "manual", signal });
      return { type: answer.type, status: answer.status, html: await answer.text() };
    } catch {
      return {};
    }
  }

  swap(html) {
    window.htmx?.swap(this.section, html, { swapStyle: "none", swapDelay: 0, settleDelay: 0 });
  }

  /** Nothing was stored. What the page had not shown is shown, and the text is kept. */
  refuse(item, html, otherwise) {
    const told = new DOMParser().parseFromString(html, "text/html").querySelector("[data-refusal]");
    if (!told) {
      this.fail(item, otherwise);
      return;
    }
    const code = told.dataset.refusal;
    const since = this.typed("reply");
    this.swap(html);
    if (this.mayKeep(item) && ["window_closed", "session_ended"].includes(code)) {
      this.settle(item);
      this.keepBeside([...new Set([item.text, since])].filter(Boolean).join("\n"));
      return;
    }
    this.fail(item, told.textContent, { insists: "insist" in told.dataset, isHeld: code === "reply_held" });
  }

  settle(item) {
    this.remove(item);
    if (this.area(item.kind)?.value || item.hadDraft) this.saveSoon(item.kind);
  }

  fail(item, reason, { insists = false, isHeld = false, mayRetry = true } = {}) {
    const { row } = item;
    row.classList.remove("sending");
    row.classList.add(isHeld ? "held" : "failed");
    row.querySelector("[data-state] span").textContent = isHeld ? this.words.held : this.words.notDelivered;
    row.querySelector("[data-reason]").textContent = reason;
    row.querySelector("[data-trouble]").hidden = false;
    const retry = row.querySelector("[data-retry]");
    retry.hidden = !mayRetry;
    item.retryLabel ??= retry.textContent.trim();
    retry.querySelector("[data-retry-label]").textContent = insists ? this.words.insist : item.retryLabel;
    row.scrollIntoView({ block: "nearest" });
  }

  retry(item) {
    item.seen = this.seen;
    item.row.classList.remove("failed", "held");
    item.row.classList.add("sending");
    item.row.querySelector("[data-trouble]").hidden = true;
    item.row.querySelector("[data-state] span").textContent = item.stateLabel;
    this.queue.push(item);
    this.pump();
  }

  edit(item) {
    const area = this.area(item.kind);
    if (!area && !this.mayKeep(item)) return;
    this.select(item.kind);
    this.put(item.kind, [item.text, this.typed(item.kind)].filter(Boolean).join("\n"));
    if (item.file) this.addFiles([item.file]);
    this.drop(item);
    if (area) this.changed(area);
  }

  drop(item) {
    this.remove(item);
    this.save(item.kind); // a draft of it would bring it back
    this.area(item.kind)?.focus();
  }

  remove(item) {
    item.row.remove();
    this.waiting.delete(item.client);
    this.done.add(item.client);
    this.keepOutbox();
  }

  draw(item) {
    const shape = this.section.querySelector(`template[data-shape="${item.kind}"]`);
    const row = shape.content.firstElementChild.cloneNode(true);
    row.dataset.waiting = item.client;
    row.querySelector("[data-said]").textContent = [item.fileName, item.text].filter(Boolean).join("\n");
    const at = new Date(item.at);
    const time = row.querySelector("[data-at]");
    time.dateTime = at.toISOString();
    time.textContent = at.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    item.row = row;
    item.stateLabel = row.querySelector("[data-state] span").textContent;
    item.hadDraft = Boolean(this.drafts[item.kind].request);
    this.waiting.set(item.client, item);
    this.outbox.append(row);
    this.showOutbox();
    row.scrollIntoView({ block: "nearest" });
  }

  showOutbox() {
    const { outbox } = this;
    if (outbox) outbox.hidden = !outbox.children.length;
  }

  // --- What is on its way, until it is confirmed

  get outboxKey() {
    return `atende.outbox.${this.section.dataset.user}.${this.session}`;
  }

  get storedOutbox() {
    try {
      return JSON.parse(stored(this.outboxKey) ?? "[]");
    } catch {
      return [];
    }
  }

  /** Another tab of the same conversation keeps its own beside them. */
  keepOutbox(items = [...this.waiting.values()]) {
    this.showOutbox();
    const others = this.storedOutbox.filter(({ client }) => !this.waiting.has(client) && !this.done.has(client));
    const kept = [...others, ...items.map(({ row, file, seen, ...rest }) => rest)];
    store(this.outboxKey, kept.length ? JSON.stringify(kept) : "");
  }

  restoreOutbox() {
    for (const item of this.storedOutbox) {
      if (isInThread(item)) {
        this.done.add(item.client);
        continue;
      }
      item.seen = this.seen;
      this.draw(item);
      const reason = item.fileName ? this.section.dataset.lostFile : this.section.dataset.notYet;
      this.fail(item, reason, { mayRetry: !item.fileName });
      if (item.text && this.typed(item.kind)?.trim() === item.text.trim()) this.put(item.kind, "");
    }
    this.keepOutbox();
  }

  // --- Drafts

  changed(area) {
    document.dispatchEvent(new CustomEvent("atende:writing", { detail: { session: this.session } }));
    const kind = area.form.dataset.compose;
    if (!kind) return;
    store(this.draftKey(kind), area.value);
    this.saveSoon(kind);
    this.look(area);
  }

  draftKey(kind) {
    return `atende.draft.${this.section.dataset.user}.${this.session}.${kind}`;
  }

  saveSoon(kind) {
    const draft = this.drafts[kind];
    clearTimeout(draft.timer);
    draft.timer = setTimeout(() => this.save(kind), DRAFT_AFTER);
  }

  async save(kind) {
    const text = this.field(kind)?.value;
    if (text === undefined) return;
    const { ticket, draftUrl, saving, saved, keptHere } = this.section.dataset;
    if (!draftUrl) {
      this.sayDraft(kind, text ? keptHere : "");
      return;
    }
    const draft = this.drafts[kind];
    clearTimeout(draft.timer);
    draft.request?.abort();
    draft.request = new AbortController();
    const { signal } = draft.request;
    if (text) this.sayDraft(kind, saving);
    try {
      const body = this.draftBody(kind, text, ticket);
      const answer = await fetch(draftUrl, { method: "POST", body, signal, redirect: "manual" });
      if (answer.ok) {
        draft.isStored = Boolean(text);
        if (this.field(kind)?.value === text) store(this.draftKey(kind), "");
      }
      this.sayDraft(kind, !text ? "" : answer.ok ? saved : keptHere);
    } catch {
      if (!signal.aborted) this.sayDraft(kind, text ? keptHere : "");
      return;
    }
    draft.request = null;
  }

  draftBody(kind, text, ticket) {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", this.token);
    body.append("ticket", ticket);
    body.append("kind", kind);
    body.append("text", text);
    return body;
  }

  /** The page goes away: what was typed since the last save. */
  leave() {
    for (const kind of KINDS) {
      const text = this.area(kind)?.value;
      const { draftUrl, ticket } = this.section.dataset;
      if (draftUrl && text && stored(this.draftKey(kind))) {
        navigator.sendBeacon(draftUrl, this.draftBody(kind, text, ticket));
      }
    }
  }

  forgetDraft(kind) {
    clearTimeout(this.drafts[kind].timer);
    store(this.draftKey(kind), "");
    this.sayDraft(kind, "");
  }

  sayDraft(kind, text) {
    const state = this.form(kind)?.querySelector("[data-draft-state]");
    if (state && state.textContent !== text) state.textContent = text;
  }

  restoreDrafts() {
    for (const kind of KINDS) {
      this.drafts[kind].isStored = Boolean(this.typed(kind));
      const area = this.area(kind);
      if (!area) continue;
      area.value = stored(this.draftKey(kind)) || area.value;
      if (area.value) this.sayDraft(kind, this.section.dataset.saved);
      this.look(area);
    }
  }

  // --- Another box

  /** The box is about to be drawn anew: what stands in it goes along. */
  stash() {
    this.stashed = this.typed("reply") ?? "";
  }

  /** A template that was chosen, until the server has answered it. */
  get begunTemplate() {
    const form = this.section.querySelector("form[data-templates]:not([data-answered])");
    return form?.querySelector("[name=template]:checked") && form;
  }

  /** The box stays, for what was typed into it; text, where it is taken now, is one step away. */
  offerReturn(box) {
    const bar = this.begunTemplate.querySelector("[data-closed]");
    if (!bar || !box.querySelector("form[data-compose]")) return;
    const link = this.begunTemplate.querySelector("template[data-return]");
    bar.replaceChildren(link.content.cloneNode(true));
    window.htmx.process(bar);
  }

  dressBox() {
    const area = this.area("reply");
    if (this.stashed && area && !area.value) {
      area.value = this.stashed;
      this.look(area);
    } else if (this.stashed && !area) {
      this.keepBeside(this.stashed);
    }
    this.stashed = "";
    const attach = this.form("reply")?.querySelector("[data-attach]");
    if (attach) attach.multiple = true; // without a script one at a time is sent
    this.offerText();
    this.showFiles();
    if (this.quoted && area) this.showQuote();
  }

  keepBeside(text) {
    if (!this.kept) return;
    this.kept.value = text;
    this.kept.closest("[data-kept]").hidden = !text;
    this.offerText();
    this.save("reply");
  }

  /** The kept text may become a value of the template. */
  offerText() {
    const text = this.kept?.value;
    for (const button of this.section.querySelectorAll("[data-fill]")) button.hidden = !text;
  }

  fill(button) {
    const field = document.getElementById(button.dataset.fill);
    field.value = this.kept.value.replace(/\s+/g, " ").trim(); // a value has no line breaks
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }

  // --- Text

  /** Placeholders that a canned response left, named under the box. */
  look(area) {
    const told = area.form.querySelector("[data-unfilled]");
    if (!told) return;
    const names = [...area.value.matchAll(/\{\{\s*([\w.]+)\s*\}\}/g)].map((found) => found[1]);
    told.textContent = names.length ? told.dataset.unfilled.replace("%s", [...new Set(names)].join(", ")) : "";
  }

  insert(area, text, { from = area.selectionStart, to = area.selectionEnd } = {}) {
    area.focus();
    area.setRangeText(text, from, to, "end");
    const blank = text.match(/\{\{\s*[\w.]+\s*\}\}/);
    if (blank) area.setSelectionRange(from + blank.index, from + blank.index + blank[0].length);
    this.changed(area);
  }

  // --- Quotes

  quote(button) {
    const bubble = button.closest("li");
    this.quoted = button.dataset.quote;
    this.quotedBy = speakerOf(bubble);
    this.quotedText = bubble.querySelector(".tx")?.textContent.trim() || bubble.querySelector(".file b, .loc b")?.textContent || "";
    this.select("reply");
    this.showQuote();
  }

  showQuote() {
    const shown = this.form("reply")?.querySelector("[data-quoting]");
    if (!shown) return;
    shown.hidden = false;
    shown.querySelector("[data-by]").textContent = this.words.replying.replace("%s", this.quotedBy);
    shown.querySelector("[data-words-of]").textContent = this.quotedText;
    this.form("reply").elements.reply_to.value = this.quoted;
  }

  unquote() {
    this.quoted = null;
    const form = this.form("reply");
    if (!form) return;
    form.querySelector("[data-quoting]").hidden = true;
    form.elements.reply_to.value = "";
  }

  // --- Files

  addFiles(list) {
    const form = this.form("reply");
    if (!form) return;
    this.select("reply");
    const rules = JSON.parse(form.dataset.files);
    for (const file of list) this.files.push({ file, ...this.fit(file, rules) });
    this.showFiles();
  }

  /** As what the channel takes it: {kind} ("" lets the server look), or {error}. */
  fit(file, rules) {
    if (!file.size) return { error: this.words.emptyFile };
    const own = rules.filter((rule) => rule.types?.some((type) => type.split(";")[0] === file.type));
    if (own.some((rule) => file.size <= rule.most)) return { kind: "" };
    const asDocument = rules.find((rule) => rule.kind === "document");
    if (asDocument && file.size <= asDocument.most) return { kind: "document", isOnlyDocument: true };
    const most = Math.max(0, ...[...own, asDocument].filter(Boolean).map((rule) => rule.most));
    if (!most) return { error: this.words.notTaken };
    return { error: filled(this.words.tooLarge, { size: bytes(file.size), most: bytes(most) }) };
  }

  showFiles() {
    const list = this.form("reply")?.querySelector("[data-chosen]");
    if (!list) return;
    list.replaceChildren(...this.files.map((one) => (one.row ??= this.fileRow(one))));
    list.hidden = !this.files.length;
  }

  fileRow(one) {
    const shape = this.section.querySelector("template[data-shape=file]");
    const row = shape.content.firstElementChild.cloneNode(true);
    row.querySelector("[data-name]").textContent = one.file.name;
    row.querySelector("[data-size]").textContent = bytes(one.file.size);
    const asDocument = row.querySelector("[data-as-document]");
    asDocument.hidden = Boolean(one.error);
    const box = asDocument.querySelector("input");
    box.checked = one.kind === "document";
    box.disabled = Boolean(one.isOnlyDocument);
    box.addEventListener("change", () => (one.kind = box.checked ? "document" : ""));
    if (one.error) {
      const told = row.querySelector("[data-error]");
      told.textContent = one.error;
      told.hidden = false;
      row.classList.add("bad");
    } else if (/^image\/(jpeg|png|webp|gif)$/.test(one.file.type)) {
      const picture = document.createElement("img");
      picture.alt = "";
      picture.src = URL.createObjectURL(one.file);
      picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
      row.querySelector(".thumb").replaceChildren(picture);
    }
    row.querySelector("[data-remove]").addEventListener("click", () => {
      this.files = this.files.filter((other) => other !== one);
      this.showFiles();
      this.area("reply").focus();
    });
    return row;
  }
}

function isInThread(item) {
  return Boolean(document.querySelector(`[data-client="${CSS.escape(item.client)}"]`));
}

function speakerOf(bubble) {
  for (let one = bubble; one; one = one.previousElementSibling) {
    const by = one.querySelector(":scope > .by");
    if (by) return by.textContent.trim();
  }
  return "";
}

// --- A list that goes with the text: canned responses after "/", colleagues after "@" -------------

class Choices {
  constructor(composer, area, { url, label, id }) {
    this.composer = composer;
    this.area = area;
    this.url = url;
    this.root = document.createElement("div");
    this.root.className = "slash";
    this.root.hidden = true;
    const cap = document.createElement("div");
    cap.className = "cap";
    cap.textContent = label;
    this.list = document.createElement("ul");
    this.list.id = id;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", label);
    this.root.append(cap, this.list);
    area.closest(".cbox").append(this.root);
    area.setAttribute("aria-autocomplete", "list");
    this.root.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the box keeps the focus
      const option = event.target.closest("[role=option]:not([aria-disabled])");
      if (option) this.choose(option);
    });
  }

  get isOpen() {
    return !this.root.hidden;
  }

  get options() {
    return [...this.list.querySelectorAll("[role=option]:not([hidden], [aria-disabled])")];
  }

  async open(query, from) {
    this.from = from;
    this.query = query;
    if (!this.list.children.length) {
      if (this.loaded) return; // whoever waits for it shows what is asked for by then
      this.loaded = fetch(this.url, { headers: { "HX-Request": "true" }, redirect: "manual" }).then((answer) => {
        if (!answer.ok) throw new Error(String(answer.status));
        return answer.text();
      });
      try {
        const html = await this.loaded;
        const found = new DOMParser().parseFromString(`<ul>${html}</ul>`, "text/html");
        this.list.replaceChildren(...found.body.querySelectorAll("li"));
      } catch {
        this.loaded = null; // asked again the next time
        return;
      }
    }
    const words = folded(this.query).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const option of this.list.children) {
      const text = folded(option.dataset.foundBy ?? "");
      const isFound = words.every((word) => text.includes(word));
      option.hidden = !isFound || shown >= 8;
      shown += isFound ? 1 : 0;
    }
    if (!shown) {
      this.close();
      return;
    }
    this.root.hidden = false;
    this.area.setAttribute("aria-controls", this.list.id);
    this.mark(this.options[0]);
  }

  close() {
    this.root.hidden = true;
    this.area.removeAttribute("aria-controls");
    this.area.removeAttribute("aria-activedescendant");
  }

  mark(option) {
    for (const one of this.list.children) {
      one.classList.toggle("on", one === option);
      if (one.hasAttribute("aria-selected")) one.setAttribute("aria-selected", String(one === option));
    }
    if (option) this.area.setAttribute("aria-activedescendant", option.id);
    option?.scrollIntoView({ block: "nearest" });
  }

  move(step) {
    const { options } = this;
    const at = options.findIndex((one) => one.classList.contains("on"));
    this.mark(options[(at + step + options.length) % options.length]);
  }

  choose(option) {
    this.close();
    const to = this.area.selectionStart;
    this.composer.insert(this.area, option.dataset.text, { from: this.from, to });
  }

  onKey(event) {
    if (!this.isOpen || event.ctrlKey || event.metaKey || event.isComposing) return false;
    switch (event.key) {
      case "ArrowDown":
        this.move(1);
        break;
      case "ArrowUp":
        this.move(-1);
        break;
      case "Enter":
      case "Tab": {
        const marked = this.options.find((one) => one.classList.contains("on"));
        if (!marked) return false;
        this.choose(marked);
        break;
      }
      case "Escape":
        this.close();
        break;
      default:
        return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
}

function cannedOf(composer, area) {
  const button = area.form.querySelector("[data-canned]");
  if (!button) return null;
  const id = `canned-list-${composer.session}`;
  area.choices ??= new Choices(composer, area, { url: button.dataset.canned, label: button.textContent.trim(), id });
  return area.choices;
}

function peopleOf(composer, area) {
  if (!area.dataset.people) return null;
  const id = `people-list-${composer.session}`;
  area.choices ??= new Choices(composer, area, { url: area.dataset.people, label: composer.words.people, id });
  return area.choices;
}

/** Opens, filters or closes the list that the text before the cursor asks for. */
function offer(composer, area) {
  const before = area.value.slice(0, area.selectionStart);
  const canned = before.match(/(?:^|\n)(\/[^\n]{0,40})$/);
  const mention = before.match(/(?:^|\s)(@[^\n@]{0,30})$/);
  const choices = area.dataset.people ? peopleOf(composer, area) : cannedOf(composer, area);
  const found = area.dataset.people ? mention : canned;
  if (found) choices?.open(found[1].slice(1), area.selectionStart - found[1].length);
  else choices?.close();
}

// --- Emoji -----------------------------------------------------------------------------------------

let emoji; // [character, words], read once

async function openEmoji(composer, button) {
  const area = button.form.elements.text;
  const open = button.form.querySelector(".emoji-pop");
  if (open) {
    open.remove();
    button.setAttribute("aria-expanded", "false");
    area.focus();
    return;
  }
  emoji ??= await fetch(composer.section.dataset.emojiUrl).then((answer) => answer.json());
  const pop = document.createElement("div");
  pop.className = "emoji-pop";
  pop.setAttribute("role", "dialog");
  pop.setAttribute("aria-label", composer.words.emojiLabel);
  const search = document.createElement("input");
  search.type = "search";
  search.className = "inp";
  search.placeholder = composer.words.emojiSearch;
  search.setAttribute("aria-label", composer.words.emojiSearch);
  const grid = document.createElement("div");
  grid.className = "emoji-grid";
  pop.append(search, grid);
  const close = () => {
    pop.remove();
    button.setAttribute("aria-expanded", "false");
  };
  const draw = () => {
    const words = folded(search.value).split(/\s+/).filter(Boolean);
    const found = emoji.filter(([, name]) => words.every((word) => folded(name).includes(word)));
    grid.replaceChildren(
      ...found.map(([character, name]) => {
        const one = document.createElement("button");
        one.type = "button";
        one.textContent = character;
        one.title = name;
        one.setAttribute("aria-label", name);
        return one;
      }),
    );
    if (!found.length) grid.textContent = composer.words.emojiNone;
  };
  draw();
  search.addEventListener("input", draw);
  grid.addEventListener("click", (event) => {
    const one = event.target.closest("button");
    if (!one) return;
    close();
    composer.insert(area, one.textContent);
  });
  pop.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
      area.focus();
    } else if (event.key === "Enter" && event.target === search) {
      event.preventDefault();
      grid.querySelector("button")?.click();
    }
  });
  button.closest(".cbox").append(pop);
  button.setAttribute("aria-expanded", "true");
  search.focus();
}

// --- The service window ----------------------------------------------------------------------------

function tickWindows() {
  for (const shown of document.querySelectorAll(".window[data-until]")) {
    const clock = shown.querySelector("[data-clock]");
    if (!clock) continue;
    const left = Date.parse(shown.dataset.until) - Date.now();
    if (left <= 0) {
      if (!shown.dataset.isOver) {
        shown.dataset.isOver = "1";
        clock.textContent = shown.dataset.minutes.replace("%m", "0");
        const poller = document.getElementById(shown.id.replace("window-", "poller-"));
        if (poller) window.htmx?.trigger(poller, "refresh");
      }
      continue;
    }
    const minutes = Math.floor(left / MINUTE);
    const text =
      left < MINUTE
        ? `${Math.ceil(left / 1000)} s`
        : minutes < 60
          ? shown.dataset.minutes.replace("%m", minutes)
          : shown.dataset.hours.replace("%h", Math.floor(minutes / 60)).replace("%m", minutes % 60);
    if (clock.textContent === text) continue;
    clock.textContent = text;
    shown.classList.toggle("is-danger", minutes < 30);
    shown.classList.toggle("is-warn", minutes >= 30 && minutes < 240);
    shown.querySelector(".g").setAttribute("stroke-dasharray", `${Math.round(minutes / 14.4)} 100`);
  }
}
setInterval(tickWindows, 1000);

// --- What happens on the page ----------------------------------------------------------------------

const composers = new Set();

function composerOf(element) {
  const section = element?.closest?.("[data-composer]");
  return [...composers].find((one) => one.section === section);
}

/** The composer under the conversation that an element is a part of. */
function composerUnder(element) {
  const session = element.closest("[data-conversation]")?.dataset.conversation;
  return [...composers].find((one) => one.session === session);
}

/** Every box has a composer; one whose box was drawn anew goes on there. */
function bindComposers() {
  const homeless = [...composers].filter((one) => !one.section.isConnected);
  for (const section of document.querySelectorAll("[data-composer]")) {
    if (composerOf(section)) continue;
    const known = homeless.find((one) => !one.section.isConnected && one.isFor(section));
    if (known) known.moveTo(section);
    else composers.add(new Composer(section));
  }
  for (const one of homeless) {
    if (one.section.isConnected) continue;
    one.leave();
    for (const kind of KINDS) clearTimeout(one.drafts[kind].timer);
    composers.delete(one);
  }
}
bindComposers();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-compose]")) return;
  event.preventDefault();
  composerOf(form)?.send(form);
});

document.addEventListener("input", (event) => {
  const area = event.target;
  if (!area.matches("form[data-compose] textarea")) return;
  const composer = composerOf(area);
  composer?.changed(area);
  if (composer) offer(composer, area);
});

document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.("[data-composer] [role=tab]");
  if (tab && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
    event.preventDefault();
    const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = step ? tabs.indexOf(tab) + step : event.key === "Home" ? 0 : tabs.length - 1;
    const next = tabs[(at + tabs.length) % tabs.length];
    composerOf(tab)?.select(next.dataset.tab, { focus: false });
    next.focus();
    return;
  }
  const form = event.target.closest?.("form[data-compose], form[data-templates]");
  if (!form) return;
  if (event.target.choices?.onKey(event)) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Escape" && event.target.matches("textarea")) {
    event.target.blur();
  }
});

document.addEventListener("focusout", (event) => event.target.choices?.close());

document.addEventListener("click", (event) => {
  const button = event.target.closest("button, a, label");
  if (!button) return;
  if (button.matches("[data-quote]")) {
    composerUnder(button)?.quote(button);
    return;
  }
  const row = button.closest(".outbox [data-waiting]");
  if (row) {
    const composer = composerUnder(row);
    const item = composer?.waiting.get(row.dataset.waiting);
    if (!item) return;
    if (button.matches("[data-retry]")) composer.retry(item);
    else if (button.matches("[data-edit]")) composer.edit(item);
    else if (button.matches("[data-drop]")) composer.drop(item);
    return;
  }
  const composer = composerOf(button);
  if (!composer) return;
  if (button.matches("[role=tab]")) {
    event.preventDefault();
    composer.select(button.dataset.tab);
  } else if (button.matches("[data-unquote]")) {
    composer.unquote();
    composer.area("reply").focus();
  } else if (button.matches("[data-fill]")) {
    composer.fill(button);
  } else if (button.matches("[data-emoji]")) {
    openEmoji(composer, button);
  } else if (button.matches("[data-canned]")) {
    const area = composer.area("reply");
    const before = area.value.slice(0, area.selectionStart);
    area.focus();
    if (!/(^|\n)\/[^\n]*$/.test(before)) composer.insert(area, !before || before.endsWith("\n") ? "/" : "\n/");
    offer(composer, area);
  }
});

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-attach]")) return;
  composerOf(event.target)?.addFiles([...event.target.files]);
  event.target.value = ""; // they are ours now, one by one
});

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  const types = event.clipboardData?.types ?? [];
  if (types.includes("text/plain") && types.includes("text/html")) return; // cells or words, with a picture of them
  const composer = composerOf(event.target);
  if (!composer || !files.length || !event.target.matches("form[data-compose=reply] textarea")) return;
  event.preventDefault();
  composer.addFiles(files);
});

/* Files may be dropped anywhere in the conversation. */
function composerDroppedOn(event) {
  if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return undefined;
  const section = event.target.closest?.(".conv")?.querySelector("[data-composer]");
  return composerOf(section);
}

document.addEventListener("dragover", (event) => {
  const composer = composerDroppedOn(event);
  if (!composer?.form("reply")) return;
  event.preventDefault();
  composer.section.classList.add("is-dropping");
});

document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget?.closest?.(".conv")) return;
  for (const composer of composers) composer.section.classList.remove("is-dropping");
});

document.addEventListener("drop", (event) => {
  const composer = composerDroppedOn(event);
  if (!composer?.form("reply")) return;
  event.preventDefault();
  composer.section.classList.remove("is-dropping");
  composer.addFiles([...event.dataTransfer.files]);
});

/* A poll brought what was on its way before the answer did. */
document.addEventListener("atende:arrived", (event) => {
  const composer = composerUnder(event.target);
  const item = composer?.waiting.get(event.target.dataset.waiting);
  if (item) composer.settle(item);
});

/* News must not take away a template that somebody is filling in; what they asked for may. */
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const composer = target.matches("[data-box]") ? composerOf(target) : undefined;
  if (composer?.begunTemplate) {
    event.detail.shouldSwap = false;
    composer.offerReturn(fragment);
  } else composer?.stash();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig, shouldSwap } = event.detail;
  if (shouldSwap && requestConfig?.elt.matches("form[data-templates]")) requestConfig.elt.dataset.answered = "";
  if (target?.matches?.("[data-box]")) composerOf(target)?.stash();
});

for (const name of ["htmx:oobAfterSwap", "htmx:afterSwap"]) {
  document.addEventListener(name, (event) => {
    const { target } = event.detail;
    if (target?.matches?.("[data-box]")) composerOf(target)?.dressBox();
    else if (target?.id?.startsWith("template-fields-")) composerOf(target)?.offerText();
    else bindComposers();
  });
}

window.addEventListener("pagehide", () => {
  for (const composer of composers) composer.leave();
});
