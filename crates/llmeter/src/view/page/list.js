"use strict";

// The list: what the server found, chosen and ordered here.

const PAGE = 200;
const EVERY = 2000;
const MOST = 8;

const COLUMNS = [
  { key: "when", title: "When", value: (entry) => entry.started, show: (entry) => when(entry.started), down: true },
  { key: "name", title: "Name", value: (entry) => entry.name.toLowerCase() },
  { key: "kind", title: "Kind", value: (entry) => entry.kind, show: (entry) => entry.kind },
  { key: "model", title: "Model", value: (entry) => entry.model && entry.model.toLowerCase(), show: (entry) => entry.model || "—" },
  { key: "load", title: "Load", value: (entry) => Math.max(...numbers(entry, "clients")), show: load },
  figure("TTFT p50", "time_to_first_token-p50", time),
  figure("TTFT p99", "time_to_first_token-p99", time),
  figure("Out tokens/s", "output_tps", digits),
  { key: "failed", title: "Failed", value: (entry) => sum(entry, "failed_requests"), show: failed, number: true },
  { key: "verdict", title: "Verdict", value: verdict, show: (entry) => (verdict(entry) === "—" ? "—" : badge(verdict(entry))) },
];

const found = { entries: [], folder: "", unread: [] };
const view = { key: "when", down: true, shown: PAGE, ticked: new Set(), open: new Set(), seen: "" };
const at = (id) => document.getElementById(id);

function runsOf(entry) {
  return entry.runs || [entry];
}

function numbers(entry, key) {
  return runsOf(entry).map((run) => run[key]).filter((value) => typeof value === "number");
}

function figures(entry, key) {
  return runsOf(entry).map((run) => run.figures[key]).filter((value) => typeof value === "number");
}

function figure(title, key, show) {
  const value = (entry) => (figures(entry, key).length ? Math.min(...figures(entry, key)) : null);
  return { key, title, value, show: (entry) => range(figures(entry, key), show), number: true };
}

function sum(entry, key) {
  const values = figures(entry, key);
  return values.length ? values.reduce((one, other) => one + other, 0) : null;
}

function failed(entry) {
  const [bad, all] = [sum(entry, "failed_requests"), sum(entry, "total_requests")];
  return bad === null ? "—" : bad === 0 || all === null ? count(bad) : count(bad) + "/" + count(all);
}

function load(entry) {
  if (entry.kind === "workloads") return count(entry.runs.length) + " workloads";
  const clients = range(numbers(entry, "clients"), count);
  if (entry.runs) {
    const names = { "load test": "levels", capacity: "probes", "A/B": "blocks" };
    return clients + ", " + entry.runs.length + " " + (names[entry.kind] || "runs");
  }
  if (entry.duration) return clients + ", " + time(entry.duration);
  return entry.requests_per_client ? clients + " × " + count(entry.requests_per_client) : clients;
}

function verdict(entry) {
  return entry.state === "complete" ? entry.verdict || "—" : entry.state;
}

/** The entries that are wanted, in order. */
function chosen() {
  const words = at("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [kind, state] = [at("kind").value, at("state").value];
  const has = (entry) => {
    const text = [entry.name, entry.model, entry.endpoint, entry.description].join(" ").toLowerCase();
    return words.every((word) => text.includes(word)) && (!kind || entry.kind === kind) && (!state || entry.state === state);
  };
  const column = COLUMNS.find((one) => one.key === view.key);
  const known = (value) => value !== null && value !== undefined && value !== "—" && !Number.isNaN(value);
  const order = ([first, one], [second, other]) => {
    if (known(first) !== known(second)) return known(first) ? -1 : 1;
    if (known(first) && first !== second) return (first < second ? -1 : 1) * (view.down ? -1 : 1);
    return one.name < other.name ? -1 : 1;
  };
  const keyed = found.entries.filter(has).map((entry) => [column.value(entry), entry]);
  return keyed.sort(order).map(([, entry]) => entry);
}

function row(entry, isInner) {
  const row = element("tr", { class: isInner ? "inner" : null, role: "row" });
  const tick = element("input", { type: "checkbox", "aria-label": "Compare " + entry.name, "data-id": entry.id });
  tick.checked = view.ticked.has(entry.id);
  tick.addEventListener("change", () => {
    if (tick.checked) view.ticked.add(entry.id);
    else view.ticked.delete(entry.id);
    button();
  });
  row.append(element("td", { class: "tick", role: "cell" }, tick));
  for (const column of COLUMNS) {
    const cell = element("td", {
      class: column.number ? "number" : column.key, role: column.key === "name" ? "rowheader" : "cell", "data-title": column.title,
    });
    if (column.key === "name") cell.append(...name(entry, isInner));
    else cell.append(column.show(entry));
    row.append(cell);
  }
  return row;
}

function name(entry, isInner) {
  const isLive = ["running", "unfinished"].includes(entry.state) && !entry.runs;
  const href = isLive ? "live/" + entry.id + "/" : "report/" + entry.id;
  const shown = isInner ? entry.name.split("/").pop() : entry.name;
  const parts = [element("a", { href, title: entry.path }, shown)];
  if (entry.runs) {
    const isOpen = view.open.has(entry.id);
    const toggle = element("button", {
      type: "button", class: "toggle", "aria-expanded": String(isOpen), "data-toggle": entry.id,
      "aria-label": (isOpen ? "Hide" : "Show") + " the runs of " + entry.name,
    }, isOpen ? "▾" : "▸");
    toggle.addEventListener("click", () => {
      if (isOpen) view.open.delete(entry.id);
      else view.open.add(entry.id);
      draw();
      document.querySelector('[data-toggle="' + entry.id + '"]').focus();
    });
    parts.unshift(toggle);
  }
  if (entry.description && !isInner) parts.push(element("span", { class: "about" }, entry.description));
  return parts;
}

/** Runs are compared with runs, load tests with load tests. */
function button() {
  const all = found.entries.flatMap((entry) => [entry, ...(entry.runs || [])]);
  // The whole of workloads is a run.
  const kind = (entry) => (entry.kind === "workloads" ? "run" : entry.kind);
  const kinds = new Set(all.filter((entry) => view.ticked.has(entry.id)).map(kind));
  const isOne = kinds.size === 1 && (kinds.has("run") || kinds.has("load test"));
  const many = view.ticked.size;
  at("compare").disabled = many < 2 || many > MOST || !isOne;
  at("compare").textContent = many < 2 ? "Compare" : "Compare " + many;
  at("why").textContent = many < 2 ? "" : many > MOST ? "At most " + MOST + " are compared."
    : isOne ? "" : "Only runs, or only load tests, are compared.";
}

function heads() {
  const heads = COLUMNS.map((column) => {
    const isSorted = view.key === column.key;
    const sort = element("button", { type: "button" }, column.title);
    if (isSorted) sort.append(element("span", { "aria-hidden": "true" }, view.down ? " ↓" : " ↑"));
    sort.addEventListener("click", () => {
      by(column.key, isSorted ? !view.down : Boolean(column.down));
      document.querySelectorAll("thead button")[COLUMNS.indexOf(column)].focus();
    });
    return element("th", {
      scope: "col", role: "columnheader", class: column.number ? "number" : column.key,
      "aria-sort": isSorted ? (view.down ? "descending" : "ascending") : null,
    }, sort);
  });
  const tick = element("th", { scope: "col", role: "columnheader", class: "tick" }, element("span", { class: "unseen" }, "Compare"));
  document.querySelector("thead tr").replaceChildren(tick, ...heads);
  at("sort").value = view.key;
}

function by(key, down) {
  view.key = key;
  view.down = down;
  heads();
  draw();
}

/** Draws the rows; what has the focus keeps it. */
function draw() {
  const focused = document.activeElement && document.activeElement.getAttribute("data-id");
  const entries = chosen();
  const rows = [];
  for (const entry of entries.slice(0, view.shown)) {
    rows.push(row(entry, false));
    if (entry.runs && view.open.has(entry.id)) rows.push(...entry.runs.map((run) => row(run, true)));
  }
  document.querySelector("tbody").replaceChildren(...rows);
  if (focused) {
    const again = document.querySelector('[data-id="' + focused + '"]');
    if (again) again.focus();
  }
  const all = found.entries.length;
  at("count").textContent = entries.length === all ? count(all) + (all === 1 ? " entry" : " entries") : count(entries.length) + " of " + count(all);
  at("runs").hidden = entries.length === 0;
  at("none").hidden = entries.length > 0;
  at("none").textContent = all === 0 && !at("where").value ? "There are no runs here yet. New ones appear by themselves." : "Nothing fits.";
  const left = entries.length - view.shown;
  at("more").hidden = left <= 0;
  at("more").textContent = "Show " + count(Math.min(left, PAGE)) + " more of " + count(left);
  button();
}

let asking = null;

/** Asks for the list. One answer is waited for however long it takes, unless something else is wanted meanwhile. */
async function look(isOther) {
  if (asking && !isOther) return;
  if (asking) asking.abort();
  const own = new AbortController();
  asking = own;
  const where = at("where").value.trim();
  const conditions = where ? where.split(/\s*(?:,|\band\b)\s*/) : [];
  const query = ["seen=" + view.seen, ...conditions.map((one) => "where=" + encodeURIComponent(one))].join("&");
  let answer;
  try {
    const response = await fetch("runs.json?" + query, { signal: own.signal });
    if (!response.ok) throw new Error(await response.text());
    answer = await response.json();
  } catch (reason) {
    if (asking !== own) return;
    asking = null;
    at("count").textContent = reason instanceof TypeError ? "llmeter does not answer: is it still running?" : reason.message;
    return;
  }
  if (asking !== own) return;
  asking = null;
  at("where-error").textContent = answer.error || "";
  at("where").setAttribute("aria-invalid", answer.error ? "true" : "false");
  if (answer.error) return;
  // What is drawn already.
  if (!answer.entries) return;
  view.seen = answer.version;
  Object.assign(found, answer);
  at("folder").textContent = found.folder;
  at("unread").hidden = found.unread.length === 0;
  at("unread").querySelector("summary").textContent = found.unread.length === 1
    ? "A folder could not be read and is left out." : count(found.unread.length) + " folders could not be read and are left out.";
  at("unread").querySelector("ul").replaceChildren(...found.unread.map((text) => element("li", {}, text)));
  const ids = new Set(found.entries.flatMap((entry) => [entry.id, ...runsOf(entry).map((run) => run.id)]));
  if (!where) view.ticked.forEach((id) => ids.has(id) || view.ticked.delete(id));
  draw();
}

function again() {
  view.shown = PAGE;
  draw();
}

at("tools").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["text", "kind", "state"]) at(id).addEventListener("input", again);
let typing;
at("where").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => look(true), 300);
});
at("sort").append(...COLUMNS.map((column) => element("option", { value: column.key }, column.title)));
at("sort").addEventListener("change", () => by(at("sort").value, Boolean(COLUMNS.find((one) => one.key === at("sort").value).down)));
at("compare").addEventListener("click", () => {
  location.href = "compare?" + [...view.ticked].map((id) => "run=" + id).join("&");
});
at("more").addEventListener("click", () => {
  view.shown += PAGE;
  draw();
});
document.addEventListener("visibilitychange", () => document.hidden || look());
heads();
look();
setInterval(() => document.hidden || look(), EVERY);
