"""Looks at reports in a real Chromium: `report_pages.py PAGE.html…`. The first is used as well: by keys, as on a phone, printed.

Each page must be silent, ask nobody for anything, fit a phone, and be usable with the keyboard. Prints a line of JSON for
each: what its charts hold, and what a screen reader is told.
"""

import json
import pathlib
import sys

from browser import launched
from playwright.sync_api import sync_playwright

# What the page's charts hold, read back from Plotly.
CHARTS = """() => Object.fromEntries([...document.querySelectorAll('.chart')].map(chart => {
  const plot = chart.querySelector('.plot');
  return [chart.id.replace('chart-', ''), {
    data: plot.data,
    drawn: !!plot.querySelector('svg.main-svg'),
    name: plot.getAttribute('aria-label'),
    role: plot.getAttribute('role'),
    stop: plot.tabIndex,
    heading: chart.querySelector('h3').textContent,
    rows: chart.querySelectorAll('details tbody tr').length,
    buttons: [...chart.querySelectorAll('button')].map(one => one.getAttribute('aria-label') || one.textContent),
  }];
}))"""

# Elements whose text is cut off or that lie on one another, and names that are missing.
ODDITIES = """() => {
  const odd = [];
  for (const button of document.querySelectorAll('button')) {
    if (!(button.getAttribute('aria-label') || button.textContent.trim())) odd.push('a button without a name');
  }
  const levels = [...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]));
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) odd.push('a heading skips a level'); });
  const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
  if (new Set(ids).size !== ids.length) odd.push('an id occurs twice');
  if (document.documentElement.scrollWidth > innerWidth) odd.push(`wider than the window: ${document.documentElement.scrollWidth}`);
  for (const table of document.querySelectorAll('table')) {
    const named = table.closest('[aria-label]').ariaLabel.trim() && table.querySelector('thead th[scope=col]');
    if (!named || [...table.querySelectorAll('tbody tr')].some(row => !row.querySelector('th[scope=row]'))) {
      odd.push(`a table without names: ${table.textContent.slice(0, 60)}`);
    }
    if (table.closest('.scroll').tabIndex !== 0) odd.push('a table that keys cannot scroll');
  }
  for (const part of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    for (const key of ['aria-labelledby', 'aria-describedby']) {
      const id = part.getAttribute(key);
      if (id && !document.getElementById(id)) odd.push(`${key} names nothing: ${id}`);
    }
  }
  for (const link of document.querySelectorAll('a')) {
    if (!document.querySelector(link.getAttribute('href'))) odd.push(`a link to nowhere: ${link.getAttribute('href')}`);
  }
  return odd;
}"""


def draw_all(page):
    """Brings every chart into view, as a reader does."""
    for plot in page.query_selector_all(".plot"):
        plot.scroll_into_view_if_needed()
        page.wait_for_function("plot => plot.data && plot.querySelector('svg.main-svg')", arg=plot)


def use_keyboard(page):
    """Tabs to the skip link, and zooms and hides a series by keys."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    chart = page.query_selector(".chart")
    if chart is None:
        return
    plot = chart.query_selector(".plot")
    view = "plot => JSON.stringify(plot.layout.xaxis.range)"
    before = page.evaluate(view, plot)
    chart.query_selector("[data-do=zoom-in]").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("([plot, before]) => JSON.stringify(plot.layout.xaxis.range) !== before", arg=[plot, before])
    chart.query_selector("[data-do=reset]").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("([plot, before]) => JSON.stringify(plot.layout.xaxis.range) === before", arg=[plot, before])
    pan_by_keys(page, chart)
    toggle = page.query_selector("button[data-traces]")
    if toggle is not None:
        toggle.focus()
        page.keyboard.press("Space")
        assert toggle.get_attribute("aria-pressed") == "false"
        at = int(toggle.get_attribute("data-traces").split(",")[0])
        plot = toggle.evaluate_handle("one => one.closest('.chart').querySelector('.plot')")
        page.wait_for_function("([plot, at]) => plot.data[at].visible === false", arg=[plot, at])
        page.keyboard.press("Space")
        page.wait_for_function("([plot, at]) => plot.data[at].visible !== false", arg=[plot, at])


def pan_by_keys(page, chart):
    """Goes from a chart's buttons to the chart itself, and zooms, pans and resets it by keys."""
    plot = chart.query_selector(".plot")
    ends = "plot => plot.layout.xaxis.range.map(Number)"
    chart.query_selector("[data-do=save]").focus()
    page.keyboard.press("Tab")
    while not page.evaluate("plot => document.activeElement === plot", plot):
        assert page.evaluate("chart => chart.contains(document.activeElement)", chart), "the chart is no stop"
        page.keyboard.press("Tab")
    from_, to = page.evaluate(ends, plot)
    page.keyboard.press("+")
    page.wait_for_function("([plot, wide]) => Math.abs(plot.layout.xaxis.range[1] - plot.layout.xaxis.range[0]) < wide",
                           arg=[plot, abs(to - from_) * 0.7])
    low, high = page.evaluate(ends, plot)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([plot, before]) => plot.layout.xaxis.range[0] !== before", arg=[plot, low])
    panned = page.evaluate(ends, plot)
    assert abs(panned[0] - (low + (high - low) * 0.1)) < 1e-6 * max(1, abs(high - low)), (low, high, panned)
    page.keyboard.press("0")
    page.wait_for_function("([plot, before]) => Math.abs(plot.layout.xaxis.range[0] - before) < 1e-9", arg=[plot, from_])


def tab_order(page):
    """What has the focus after each Tab, from the top of the page on, as far as the first chart."""
    seen = []
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    for _ in range(200):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => {
          const one = document.activeElement;
          const name = one.ariaLabel || one.textContent.trim();
          return [one.tagName.toLowerCase(), one.className, name, one.getBoundingClientRect().top + scrollY];
        }""")
        assert here[2], f"a stop without a name: {here}"
        seen.append(here)
        if "plot" in here[1]:
            break
    return seen


def look(browser, path, is_whole):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    url = path.resolve().as_uri()
    page.goto(url)
    draw_all(page)
    seen = {"charts": page.evaluate(CHARTS), "text": page.inner_text("body"), "title": page.title()}
    seen["odd"] = page.evaluate(ODDITIES)
    if is_whole:
        seen |= use(page)
    seen["said"], seen["asked"] = said, [one for one in asked if one != url]
    context.close()
    return seen


def use(page):
    """By keys, in dark colours, on a phone, and on paper."""
    order = tab_order(page)
    assert order[0][1] == "skip" and order[1][0] in ("button", "a"), order
    # Down the page, but for the skip link and the button beside the title, which stands after what is below it.
    tops = [top for tag, _, _, top in order[1:] if tag != "button"]
    assert tops == sorted(tops), order
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    page.reload()
    draw_all(page)
    page.evaluate("scrollTo(0, 0)")
    use_keyboard(page)
    page.click("#theme")
    ground = "getComputedStyle(document.body).backgroundColor"
    seen = {"theme": page.evaluate("document.documentElement.dataset.theme"), "ground": page.evaluate(ground)}
    page.set_viewport_size({"width": 390, "height": 844})
    # Charts take their new width when the browser tells them.
    page.wait_for_function("() => [...document.querySelectorAll('.plot')].every(one => one.scrollWidth <= innerWidth)")
    seen["narrow"] = page.evaluate(ODDITIES)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen["printed"] = page.evaluate(ground)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    seen["after"] = page.evaluate("document.documentElement.dataset.theme")
    return seen


def main():
    with sync_playwright() as playwright, launched(playwright) as browser:
        for at, path in enumerate(map(pathlib.Path, sys.argv[1:])):
            print(json.dumps({"page": path.name, **look(browser, path, at == 0)}), flush=True)


main()
