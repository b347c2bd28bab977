"""Takes a picture of a report: `screenshots.py PAGE.html OUTPUT.png HEIGHT [WIDTH] [light|dark] [ANCHOR]`."""

import pathlib
import sys

from browser import launched
from playwright.sync_api import sync_playwright


def main(page_file, output, height, width="1180", scheme="light", anchor=""):
    with sync_playwright() as playwright, launched(playwright) as browser:
        viewport = {"width": int(width), "height": int(height)}
        page = browser.new_page(viewport=viewport, color_scheme=scheme)
        page.goto(pathlib.Path(page_file).resolve().as_uri())
        if anchor:
            page.evaluate("anchor => document.getElementById(anchor).scrollIntoView()", anchor)
        page.wait_for_function(
            """() => [...document.querySelectorAll('.plot')].every(plot => {
                 const box = plot.getBoundingClientRect();
                 return box.top > innerHeight || box.bottom < 0 || plot.querySelector('svg.main-svg');
               })"""
        )
        page.screenshot(path=output)


main(*sys.argv[1:])
