"""The viewer's page in a real browser: lists, filters, sorts, compares, opens reports, follows a run.

    viewer_page.py URL SCREENSHOTS

Prints `ready` when the list is there, waits for a line on its input (a run is in progress then), and prints
`seen` when it has followed the run to its end. Fails on anything that the page should not do.
"""

import pathlib
import sys
from urllib.parse import urlsplit

from browser import launched
from playwright.sync_api import expect, sync_playwright

SEEN = 60_000


def names(page):
    return page.locator("tbody tr td.name a").all_inner_texts()


def lists(page):
    expect(page.locator("tbody tr")).not_to_have_count(0)
    assert page.evaluate("document.querySelector('html').lang") == "en"
    # A hostile name is text and nothing else.
    assert any("<img src=x onerror=" in name for name in names(page)), names(page)
    assert page.locator("tbody img, tbody script").count() == 0
    # Every control has a name.
    for control in page.locator("button:visible, input:visible, select:visible, a:visible").all():
        named = control.evaluate("one => (one.labels && one.labels.length) || one.ariaLabel || one.textContent.trim()")
        assert named, control.evaluate("one => one.outerHTML")


def is_told(page):
    """What a screen reader has: a table with headers also where it is shown as cards, and regions that speak."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        table = page.get_by_role("table", name="Runs and experiments")
        expect(table).to_have_count(1)
        expect(table.get_by_role("row").filter(has=page.get_by_role("rowheader"))).to_have_count(page.locator("tbody tr").count())
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.get_by_role("columnheader", name="TTFT p50")).to_be_visible()
    expect(page.get_by_role("status").first).to_be_attached()
    expect(page.locator("#where[aria-describedby=where-error]")).to_have_count(1)
    # From the first field on, each stop has a name.
    page.get_by_label("Search").focus()
    stops = []
    while len(stops) < 100:
        page.keyboard.press("Tab")
        stop = page.evaluate("(one => [one.tagName, one.ariaLabel || (one.labels && one.labels[0]?.textContent) || one.textContent.trim()])(document.activeElement)")
        if stop[0] == "BODY":
            break
        assert stop[1], stop
        stops.append(stop[1])
    assert stops[:2] == ["Condition", "Kind"] and any(stop.startswith("Compare ") for stop in stops), stops


def filters(page):
    everything = len(names(page))
    page.get_by_label("Search").fill("slow")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Search").fill("no run has this name")
    expect(page.get_by_text("Nothing fits.")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_label("Kind").select_option("load test")
    expect(page.locator("tbody tr")).to_have_count(1)
    # The runs of an experiment, by keyboard.
    page.get_by_role("button", name="Show the runs of test").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Hide the runs of test").press("Enter")
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Condition").fill("ttft-p50 > 100ms")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Condition").fill("ttf-p50 > 1")
    expect(page.get_by_role("alert")).to_contain_text("the nearest are ttft")
    page.get_by_label("Condition").fill("")
    expect(page.locator("tbody tr")).to_have_count(everything)
    expect(page.locator("#where-error")).to_be_empty()


def sorts(page):
    head = page.locator("thead").get_by_role("button", name="TTFT p50")
    head.click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("TTFT p50")
    assert names(page)[0] == "fast", names(page)
    head.press("Enter")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("TTFT p50")
    assert names(page)[0] == "slow", names(page)
    assert head.evaluate("one => one === document.activeElement"), "the focus stays"


def opens(page):
    page.get_by_role("link", name="fast").click()
    page.wait_for_load_state()
    assert "/report/" in page.url, page.url
    expect(page.locator(".chart svg.main-svg").first).to_be_visible()
    assert page.evaluate("self.origin") == "null", "a report has no origin"
    page.go_back()
    expect(page.locator("tbody tr")).not_to_have_count(0)


def compares(page):
    button = page.get_by_role("button", name="Compare")
    expect(button).to_be_disabled()
    for name in ["fast", "slow"]:
        page.get_by_role("checkbox", name=f"Compare {name}").check()
    page.get_by_role("checkbox", name="Compare test").check()
    expect(button).to_be_disabled()
    expect(page.locator("#why")).to_have_text("Only runs, or only load tests, are compared.")
    page.get_by_role("checkbox", name="Compare test").uncheck()
    expect(button).to_have_text("Compare 2")
    button.click()
    page.wait_for_load_state()
    assert "/compare?run=" in page.url, page.url
    text = page.inner_text("body")
    assert "fast" in text and "slow" in text, text[:2000]
    page.go_back()
    expect(page.locator("tbody tr")).not_to_have_count(0)


def follows(page, screenshots):
    """From the list, where the run appears by itself, to its end."""
    link = page.get_by_role("link", name="live")
    expect(link).to_be_visible(timeout=SEEN)
    expect(page.locator("tr", has=link)).to_contain_text("running")
    link.click()
    expect(page.locator("h1")).to_have_text("live")
    expect(page.get_by_role("status")).to_have_count(1)
    expect(page.get_by_role("progressbar", name="Progress of the run")).to_have_count(1)
    expect(page.locator("#state")).to_have_text("running", timeout=SEEN)
    expect(page.locator("#throughput svg path.one")).to_have_count(1, timeout=SEEN)
    expect(page.locator("#ttft svg path.two")).to_have_count(1, timeout=SEEN)
    before = page.locator("#done").inner_text()
    expect(page.locator("#done")).not_to_have_text(before, timeout=SEEN)
    page.screenshot(path=screenshots / "live-1280.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"the page is {wide} wide at 390"
    page.screenshot(path=screenshots / "live-390-dark.png", full_page=True)
    print("following", flush=True)
    expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=SEEN)
    expect(page.locator("#state")).not_to_have_text("running")
    label = page.locator("#throughput svg").get_attribute("aria-label")
    assert label.startswith("throughput over time; latest: output tokens/s "), label
    return page.locator("#done").inner_text()


SLOW = """
const [every, ask] = [setInterval, fetch];
setInterval = (work, time) => every(work, time / 100);
fetch = async (...all) => {
  await new Promise((done) => setTimeout(done, 200));
  return ask(...all);
};
"""


def waits(browser, url):
    """A server that takes longer than the time between two looks is waited for."""
    page = browser.new_page()
    page.add_init_script(SLOW)
    page.goto(url)
    expect(page.locator("tbody tr")).not_to_have_count(0)
    page.close()


def shoot(browser, url, screenshots):
    for width, scheme in [(1280, "light"), (390, "dark")]:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(url)
        expect(page.locator("tbody tr")).not_to_have_count(0)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"the page is {wide} wide at {width}"
        page.screenshot(path=screenshots / f"list-{width}-{scheme}.png", full_page=True)
        page.close()


def main():
    url, screenshots = sys.argv[1], pathlib.Path(sys.argv[2])
    own = urlsplit(url).netloc
    wrong = []
    with sync_playwright() as playwright, launched(playwright) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda sent: urlsplit(sent.url).netloc in (own, "") or wrong.append(sent.url))
        try:
            page.goto(url)
            lists(page)
            is_told(page)
            filters(page)
            sorts(page)
            opens(page)
            compares(page)
            waits(browser, url)
            shoot(browser, url, screenshots)
            print("ready", flush=True)
            sys.stdin.readline()
            done = follows(page, screenshots)
        finally:
            # Mostly the reason for whatever else went wrong.
            print("".join(f"the browser said: {one}\n" for one in wrong), file=sys.stderr, end="")
        print(f"seen {done}", flush=True)
    assert not wrong, wrong


main()
