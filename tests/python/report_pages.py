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
