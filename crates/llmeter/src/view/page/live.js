"use strict";

// A run in progress: what the server tells of it, as figures and small charts.

const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);
const last = { state: null };

const FIGURES = [
  ["TTFT p50", "time_to_first_token-p50", time],
  ["TTFT p99", "time_to_first_token-p99", time],
  ["TPOT p50", "time_per_output_token-p50", time],
  ["TTLT p50", "time_to_last_token-p50", time],
  ["TTLT p99", "time_to_last_token-p99", time],
  ["Output tokens/s", "output_tps", digits],
  ["Requests/min", "requests_per_minute", digits],
  ["Failed", "failed_requests", count],
];

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Round steps from 0 to a maximum, or to the first beyond it. */
function ticks(most, wanted, isBeyond) {
  const rough = most / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999);
  const list = [];
  const last = isBeyond ? most + step * 0.999 : most * 1.0001;
  for (let value = 0; value <= last; value += step) list.push(value);
  return list;
}

/**
 * A chart over time: so many slices of so many seconds. `lines` have a name, a class and values of slices, and are
 * drawn as a line or as bars.
 */
function chart(place, length, total, lines, show, unit) {
  const width = Math.max(280, place.clientWidth);
  const [height, left, right, top, bottom] = [200, 62, 10, 10, 24];
  const slices = Math.max(2, total);
  const values = lines.flatMap((line) => line.values).filter((value) => typeof value === "number");
  const steps = ticks(Math.max(...values, 0) || 1, 4, true);
  const most = steps[steps.length - 1];
  const x = (slice) => left + ((slice + 0.5) / slices) * (width - left - right);
  const y = (value) => top + (1 - value / most) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: "0 0 " + width + " " + height, width, height, role: "img" });
  for (const step of steps) {
    svg.append(drawn("line", { x1: left, x2: width - right, y1: y(step), y2: y(step), class: "grid" }));
    svg.append(drawn("text", { x: left - 6, y: y(step) + 4, class: "tick end" }, show(step)));
  }
  for (const second of ticks(slices * length, width < 500 ? 4 : 6)) {
    const place = left + (second / (slices * length)) * (width - left - right);
    if (place > width - right - 8) continue;
    svg.append(drawn("text", { x: place, y: height - 6, class: "tick middle" }, time(second)));
  }
  for (const line of lines) {
    if (line.bars) {
      const wide = Math.max(1, (width - left - right) / slices - 1);
      line.values.forEach((value, slice) => {
        if (value) svg.append(drawn("rect", { x: x(slice) - wide / 2, width: wide, y: y(value), height: Math.max(1, y(0) - y(value)), class: line.class }));
      });
      continue;
    }
    let path = "";
    let isOpen = false;
    line.values.forEach((value, slice) => {
      if (typeof value !== "number") return;
      path += (isOpen ? "L" : "M") + x(slice).toFixed(1) + " " + y(value).toFixed(1);
      isOpen = true;
    });
    if (path) svg.append(drawn("path", { d: path, class: "line " + line.class }));
    if (values.length && line.values.length === 1) svg.append(drawn("circle", { cx: x(0), cy: y(line.values[0] || 0), r: 3, class: line.class }));
  }
  const latest = lines.map((line) => {
    const known = line.values.filter((value) => typeof value === "number");
    return line.name + " " + (known.length ? show(known[known.length - 1]) : "—");
  });
  svg.setAttribute("aria-label", place.id + " over time; latest: " + latest.join(", "));
  const legend = element("p", { class: "legend" });
  lines.forEach((line) => legend.append(element("span", { class: "key " + line.class }), element("span", { class: "series" }, line.name)));
  const hint = element("span", { class: "hint" }, unit);
  legend.append(hint);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const slice = Math.floor((((event.clientX - box.left) * width) / box.width - left) / ((width - left - right) / slices));
    if (slice < 0 || slice >= slices) return;
    const told = lines.map((line) => {
      const value = line.values[slice];
      return line.name + " " + (typeof value === "number" ? show(value) : "—");
    });
    hint.textContent = time(slice * length) + "–" + time((slice + 1) * length) + ": " + told.join(", ");
  });
  svg.addEventListener("pointerleave", () => (hint.textContent = unit));
  place.replaceChildren(svg, legend);
}

function draw(state) {
  const shown = state.state === "complete" && state.verdict ? state.verdict : state.state;
  const isOver = !["running", "unfinished"].includes(state.state);
  if (at("state").textContent !== shown) {
    at("state").textContent = shown;
    at("state").className = badge(shown).className;
  }
  const bar = at("progress");
  const total = state.planned || null;
  bar.hidden = isOver || (!total && !state.duration);
  if (total) [bar.max, bar.value] = [total, Math.min(total, state.recorded)];
  else if (state.duration) [bar.max, bar.value] = [state.duration, Math.min(state.duration, state.seconds)];
  at("done").textContent = count(state.recorded) + (total ? " of " + count(total) : "") + " requests"
    + (state.seconds ? ", " + time(state.seconds) : "") + (!total && state.duration ? " of " + time(state.duration) : "");
  const model = [state.model, state.endpoint && "at " + state.endpoint].filter(Boolean).join(" ");
  const about = [model, state.clients && state.clients + (state.clients === 1 ? " client" : " clients")];
  at("about").textContent = about.filter(Boolean).join(", ");
  at("figures").replaceChildren(...FIGURES.flatMap(([label, key, show]) => {
    const value = state.figures[key];
    return typeof value === "number" ? [element("div", {}, element("dt", {}, label), element("dd", {}, show(value)))] : [];
  }));
  const series = state.series;
  // The last slice of a run in progress is not over.
  const whole = (values) => (isOver || values.length < 2 ? values : values.slice(0, -1));
  const [length, many, each] = [series.length, series.tokens.length, "in slices of " + time(series.length)];
  const rate = (values) => whole(values.map((value) => value / length));
  chart(at("throughput"), length, many, [{ name: "output tokens/s", class: "one", values: whole(series.tokens) }], digits, each);
  const requests = [{ name: "successful/s", class: "one", values: whole(series.requests) }];
  if (series.failures.some(Boolean)) requests.unshift({ name: "failed/s", class: "bad", bars: true, values: rate(series.failures) });
  chart(at("requests"), length, many, requests, digits, "by the time at which they ended");
  at("streaming").hidden = !series.ttft_p50.some((value) => value !== null);
  for (const name of ["ttft", "ttlt"]) {
    if (name === "ttft" && at("streaming").hidden) continue;
    chart(at(name), length, many, [
      { name: "p50", class: "one", values: series[name + "_p50"] },
      { name: "max", class: "two", values: series[name + "_max"] },
    ], time, each);
  }
  at("report").hidden = !isOver || state.state === "gone";
  at("note").hidden = isOver || !state.is_cloud;
  at("note").textContent = "Responses come from the cloud in parts, every 5 seconds or later."
    + (state.state === "unfinished" ? " None came for 30 seconds: whether the run still goes on cannot be told." : "");
}

const id = location.pathname.split("/").filter(Boolean).pop();
at("report").href = "../../report/" + id;
fetch("run.json").then((response) => response.json()).then((run) => {
  at("name").textContent = run.name;
  document.title = run.name + ": llmeter";
});
const events = new EventSource("events");
events.onmessage = (event) => {
  last.state = JSON.parse(event.data);
  draw(last.state);
};
events.addEventListener("end", () => events.close());
events.onerror = () => {
  if (events.readyState === EventSource.CLOSED) at("state").textContent = "llmeter does not answer";
};
addEventListener("resize", () => last.state && draw(last.state));
