"use strict";
(() => {
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isCoarse = matchMedia("(pointer: coarse)").matches;
  const charts = new Map();
  const drawn = new Set();
  const store = {
    get: () => { try { return localStorage.getItem("llmeter-theme"); } catch { return null; } },
    set: (name) => { try { localStorage.setItem("llmeter-theme", name); } catch { /* a page without storage */ } },
  };

  const theme = () => root.dataset.theme;
  const recoloured = (value, colours) => {
    if (typeof value === "string") return colours[value] ?? value;
    if (Array.isArray(value)) return value.length && typeof value[0] === "number" ? value : value.map((one) => recoloured(one, colours));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, recoloured(one, colours)]));
    }
    return value;
  };
  const axes = (layout) => Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));

  // The figure as the page shows it: the heading is HTML, and so is the legend.
  const shown = (chart) => {
    const { template, colours } = themes[theme()];
    const figure = recoloured(chart.figure, colours);
    const layout = { ...figure.layout, template, autosize: true, showlegend: false };
    delete layout.title;
    layout.height = chart.height;
    if (isPrinting) Object.assign(layout, { autosize: false, width: chart.isWide ? PAPER : PAPER / 2 - 10 });
    layout.margin = { l: 8, r: 14, t: layout.annotations ? 22 : 10, b: 8 };
    // A finger that scrolls the page must not zoom.
    layout.dragmode = isCoarse ? false : "zoom";
    figure.data.forEach((trace, at) => { if (chart.hidden.has(at)) trace.visible = false; });
    return { data: figure.data, layout };
  };
  // The width of a page's text on paper (A4 with margins of 12 mm), which the browser does not tell beforehand.
  const PAPER = 700;
  let isPrinting = false;
  const config = { displayModeBar: false, responsive: true, showTips: false, doubleClick: "reset" };

  const draw = (chart) => {
    drawn.add(chart);
    const { data, layout } = shown(chart);
    return Plotly.react(chart.plot, data, layout, config);
  };
  const redraw = () => drawn.forEach(draw);

  const zoom = (chart, factor) => {
    const layout = chart.plot.layout;
    const change = {};
    for (const axis of axes(layout)) {
      if (!axis.startsWith("x") || !layout[axis].range) continue;
      const [from, to] = layout[axis].range.map(Number);
      const middle = (from + to) / 2;
      change[`${axis}.range`] = [middle + (from - middle) * factor, middle + (to - middle) * factor];
    }
    Plotly.relayout(chart.plot, change);
  };
  const pan = (chart, share) => {
    const layout = chart.plot.layout;
    const change = {};
    for (const axis of axes(layout)) {
      if (!axis.startsWith("x") || !layout[axis].range) continue;
      const [from, to] = layout[axis].range.map(Number);
      change[`${axis}.range`] = [from + (to - from) * share, to + (to - from) * share];
    }
    Plotly.relayout(chart.plot, change);
  };
  const reset = (chart) => {
    const change = {};
    for (const axis of axes(chart.figure.layout)) {
      const own = chart.figure.layout[axis];
      if (own.range) change[`${axis}.range`] = [...own.range];
      else change[`${axis}.autorange`] = own.autorange ?? true;
    }
    Plotly.relayout(chart.plot, change);
  };
  const actions = {
    "zoom-in": (chart) => zoom(chart, 0.6),
    "zoom-out": (chart) => zoom(chart, 1 / 0.6),
    reset,
    save: (chart) => Plotly.downloadImage(chart.plot, { format: "png", filename: chart.id, scale: 2 }),
  };
  const keys = {
    "+": actions["zoom-in"], "=": actions["zoom-in"], "-": actions["zoom-out"], 0: reset,
    ArrowLeft: (chart) => pan(chart, -0.1), ArrowRight: (chart) => pan(chart, 0.1),
  };
  const toggle = (chart, button) => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    const traces = button.dataset.traces.split(",").map(Number);
    traces.forEach((at) => (isOn ? chart.hidden.delete(at) : chart.hidden.add(at)));
    draw(chart);
  };

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      draw(charts.get(target.id));
    }
  }, { rootMargin: "400px" });

  for (const article of document.querySelectorAll(".chart")) {
    const plot = article.querySelector(".plot");
    const figure = JSON.parse(article.querySelector("script").textContent);
    const chart = { id: article.id, plot, figure, height: plot.clientHeight, isWide: article.classList.contains("wide"), hidden: new Set() };
    charts.set(plot.id, chart);
    article.querySelectorAll("button[data-do]").forEach((button) => {
      button.addEventListener("click", () => actions[button.dataset.do](chart));
    });
    article.querySelectorAll("button[data-traces]").forEach((button) => {
      button.addEventListener("click", () => toggle(chart, button));
    });
    plot.addEventListener("keydown", (event) => {
      const action = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
      if (!action || !drawn.has(chart)) return;
      event.preventDefault();
      action(chart);
    });
    seen.observe(plot);
  }

  const button = document.getElementById("theme");
  const take = (name) => {
    root.dataset.theme = name;
    button.textContent = name === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", name === "dark" ? "Use light colours" : "Use dark colours");
    redraw();
  };
  const preferred = () => (prefersDark.matches ? "dark" : "light");
  take(store.get() === "dark" || store.get() === "light" ? store.get() : preferred());
  button.hidden = false;
  button.addEventListener("click", () => {
    const name = theme() === "dark" ? "light" : "dark";
    store.set(name);
    take(name);
  });
  prefersDark.addEventListener("change", () => { if (!store.get()) take(preferred()); });

  // Paper is white, and all of the report is on it.
  let before;
  addEventListener("beforeprint", () => {
    before = theme();
    root.dataset.theme = "light";
    isPrinting = true;
    charts.forEach(draw);
  });
  addEventListener("afterprint", () => {
    isPrinting = false;
    take(before);
  });
  addEventListener("hashchange", () => document.querySelector(":target")?.focus?.());
})();
