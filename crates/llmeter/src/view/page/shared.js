"use strict";

// Values as people read them, and elements. Texts of runs only ever become text nodes.

/** An element with attributes and children; texts become text nodes. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Seconds with three digits and a unit. */
function time(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  const size = Math.abs(seconds);
  if (size === 0) return "0";
  if (size < 1e-3) return digits(seconds * 1e6) + " µs";
  if (size < 1) return digits(seconds * 1e3) + " ms";
  if (size < 120) return digits(seconds) + " s";
  if (size < 7200) return digits(seconds / 60) + " min";
  return digits(seconds / 3600) + " h";
}

/** A number with about three digits. */
function digits(value) {
  const size = Math.abs(value);
  const places = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: places });
}

/** A count. */
function count(value) {
  return value === null || value === undefined ? "—" : Math.round(value).toLocaleString("en");
}

/** One value, or the smallest and the largest. */
function range(values, show) {
  const known = values.filter((value) => typeof value === "number");
  if (known.length === 0) return "—";
  const [low, high] = [show(Math.min(...known)), show(Math.max(...known))];
  if (low === high) return high;
  const [, unit] = high.split(" ");
  const [number, other] = low.split(" ");
  return (unit === other ? number : low) + "–" + high;
}

/** A moment, in the browser's time zone. */
function when(text) {
  if (!text) return "—";
  const at = new Date(text);
  const two = (number) => String(number).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return date + " " + two(at.getHours()) + ":" + two(at.getMinutes());
}

/** What a verdict or a state is shown as, besides its name. */
function badge(word) {
  const kinds = {
    clean: "good", complete: "plain", running: "live", degraded: "fair", interrupted: "fair",
    unfinished: "fair", "client-bound": "bad", broken: "bad", unreadable: "bad", gone: "bad",
  };
  return element("span", { class: "badge " + (kinds[word] || "plain") }, word);
}
