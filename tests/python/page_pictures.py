"""Takes pictures of pages, wide and narrow, light and dark: `page_pictures.py FOLDER NAME=ADDRESS…`.

Fails if texts of a chart are over one another or cut, if a page scrolls sideways, or if a script fails.
"""

import pathlib
import sys

from browser import launched
from playwright.sync_api import sync_playwright

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
# Chromium draws no page that is higher.
HIGHEST = 14_000
# A busy machine draws a page of many charts in half a minute.
PATIENCE = 180_000

# Charts are drawn when a frame shows that they are near.
LOOK = """top => new Promise(done => {
  scrollTo(0, top);
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
})"""
DRAWN = """() => [...document.querySelectorAll('.plot')].every(
  plot => plot.querySelector('svg.main-svg') || plot.closest('details'))"""

ODD = """() => {
  const odd = [];
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) odd.push(`the page is ${scrollWidth} px wide`);
  for (const plot of document.querySelectorAll('.plot')) {
    const edge = plot.getBoundingClientRect();
    const texts = [...plot.querySelectorAll('svg text')]
      .map(one => ({ text: one.textContent.trim(), box: one.getBoundingClientRect() }))
      .filter(({ text, box }) => text && box.width > 0);
    texts.forEach(({ text, box }, at) => {
      if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1)
        odd.push(`${plot.id}: "${text}" is cut`);
      for (const other of texts.slice(at + 1)) {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        if (across > 1 && down > 3) odd.push(`${plot.id}: "${text}" is over "${other.text}"`);
      }
    });
  }
  return odd;
}"""


def follow(page, name):
    """Waits for what the viewer has to show: its list, which comes after its page, or a run in progress."""
    if name == "viewer-empty":
        page.locator("#none:visible").wait_for()
        return
    page.locator("tbody tr").first.wait_for()
    if name == "viewer-live":
        page.get_by_role("link", name="live", exact=True).click()
        page.locator("#ttft svg path.two").wait_for()
        return
    # The runs of one experiment, and two that are ticked.
    page.get_by_role("button", name="Show the runs of ladder").first.click()
    for tick in page.get_by_role("checkbox").all()[:2]:
        tick.check()


def main(folder, *pages):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    odd = []
    with sync_playwright() as playwright, launched(playwright) as browser:
        for name, address in (page.split("=", 1) for page in pages):
            if "://" not in address:
                address = pathlib.Path(address).resolve().as_uri()
            for width in WIDTHS:
                for scheme in SCHEMES:
                    picture = f"{name}-{width}-{scheme}"
                    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                    page.set_default_timeout(PATIENCE)
                    page.on("pageerror", lambda error: odd.append(f"{picture}: {error}"))
                    page.goto(address)
                    if address.startswith("http"):
                        follow(page, name)
                    height = page.evaluate("document.documentElement.scrollHeight")
                    page.set_viewport_size({"width": width, "height": min(height + 200, HIGHEST)})
                    for top in range(0, height, 800):
                        page.evaluate(LOOK, top)
                    page.evaluate("scrollTo(0, 0)")
                    page.wait_for_function(DRAWN)
                    odd += [f"{picture}: {one}" for one in page.evaluate(ODD)]
                    page.screenshot(path=folder / f"{picture}.png")
                    page.close()
    for one in odd:
        print(one)
    sys.exit(1 if odd else 0)


main(*sys.argv[1:])
