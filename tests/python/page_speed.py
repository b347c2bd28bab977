"""How long a report takes to open, and how evenly its charts are panned: `page_speed.py PAGE.html`.

Prints a table: of each chart the points that it draws, and the times between frames while a mouse drags it. A line
that begins with `beyond` tells of a limit that was missed.
"""

import pathlib
import statistics
import sys
import time

from browser import launched
from playwright.sync_api import sync_playwright

# Seconds until the page is there, and milliseconds of all but every twentieth frame: two at 60 a second.
OPEN = 2
FRAME = 34
# Steps of a drag, and pixels of a step.
STEPS = 90
PIXELS = 4

DRAWN = """() => [...document.querySelectorAll('.plot')].every(plot => {
  const box = plot.getBoundingClientRect();
  return box.top > innerHeight || box.bottom < 0 || !box.width || plot.querySelector('svg.main-svg');
})"""
PLOTS = """() => [...document.querySelectorAll('.plot')].filter(plot => plot.offsetWidth).map(plot => plot.id)"""
POINTS = """id => document.getElementById(id).data.reduce(
  (sum, trace) => sum + ((trace.x ?? trace.y ?? trace.lowerfence)?.length ?? 0), 0)"""
# A frame in which the page is drawn again ends where the next begins.
RECORD = """() => {
  window.frames = [];
  let last = performance.now();
  const note = now => { frames.push(now - last); last = now; window.recording = requestAnimationFrame(note); };
  window.recording = requestAnimationFrame(note);
}"""
STOP = "() => { cancelAnimationFrame(window.recording); return window.frames.slice(1); }"


def main(page_file):
    with sync_playwright() as playwright, launched(playwright) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        page.goto(pathlib.Path(page_file).resolve().as_uri())
        page.wait_for_function(DRAWN)
        opened = time.perf_counter() - start
        print(f"open after {opened:.2f} s")
        print(f"{'chart':<28}{'points':>8}{'frames':>8}{'median':>10}{'p95':>10}{'longest':>10}")
        everything = []
        for plot in page.evaluate(PLOTS):
            page.evaluate("id => document.getElementById(id).scrollIntoView({ block: 'center' })", plot)
            page.wait_for_function("id => document.getElementById(id).querySelector('svg.main-svg')", arg=plot)
            page.evaluate("id => Plotly.relayout(id, { dragmode: 'pan' })", plot)
            area = page.locator(f"#{plot} .nsewdrag").first
            if not area.count():
                continue
            box = area.bounding_box()
            x, y = box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            page.evaluate(RECORD)
            for step in range(STEPS):
                # There and back.
                away = min(step, STEPS - step) * PIXELS
                page.mouse.move(x - away, y)
            frames = page.evaluate(STOP)
            page.mouse.up()
            everything += frames
            points = page.evaluate(POINTS, plot)
            show(plot, points, frames)
        show("all", "", everything)
        if opened > OPEN:
            print(f"beyond: the page is open after {opened:.2f} s, not {OPEN} s")
        frame = sorted(everything)[int(len(everything) * 0.95)]
        if frame > FRAME:
            print(f"beyond: one of twenty frames takes {frame:.1f} ms, not {FRAME} ms")


def show(name, points, frames):
    frames = sorted(frames)
    median, p95 = statistics.median(frames), frames[int(len(frames) * 0.95)]
    print(f"{name:<28}{points:>8}{len(frames):>8}{median:>7.1f} ms{p95:>7.1f} ms{frames[-1]:>7.1f} ms")


main(*sys.argv[1:])
