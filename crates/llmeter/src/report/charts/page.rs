//! Distributions drawn as SVG, in an HTML page.

use std::fmt::Write;

use super::distribution::{Distribution, round_step};
use crate::RunResult;
use crate::report::summary;

pub(super) const COLOUR: &str = "#2f6db3";
/// The size of a panel's plotting area and its place in the panel, in pixels.
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 30.0;
const PANEL_WIDTH: f64 = LEFT + WIDTH + 24.0;
const PANEL_HEIGHT: f64 = TOP + HEIGHT + 44.0;

const STYLE: &str = "\
body{font:14px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:940px;margin:24px auto;padding:0 16px}\
h1{font-size:20px;margin:0 0 8px}h2{font-size:15px;margin:24px 0 0}\
pre{font:12px/1.4 ui-monospace,monospace;background:#f5f6f8;padding:12px;overflow-x:auto}\
svg{max-width:100%;height:auto}text{font:11px system-ui,sans-serif;fill:#444}\
.grid{stroke:#e3e5e8}.axis{stroke:#888}.mark{stroke:#c2452d;stroke-dasharray:4 3}.label{fill:#c2452d;stroke:#fff;stroke-width:3px;paint-order:stroke}";

pub(super) fn page(title: &str, result: &RunResult, distributions: &[Distribution]) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    for one in distributions {
        let _ = writeln!(
            page,
            "<h2>{}, {} ({})</h2>\n<svg viewBox=\"0 0 {} {PANEL_HEIGHT}\" width=\"{}\" role=\"img\" \
             aria-label=\"{}\">",
            one.name,
            one.meaning,
            one.unit.name,
            2.0 * PANEL_WIDTH,
            2.0 * PANEL_WIDTH,
            one.meaning,
        );
        histogram(&mut page, one);
        let _ = write!(page, "<g transform=\"translate({PANEL_WIDTH} 0)\">");
        curve(&mut page, one);
        page.push_str("</g></svg>\n");
    }
    let _ = writeln!(
        page,
        "<pre>{}</pre>\n</body></html>",
        escaped(&summary(result))
    );
    page
}

/// From values to pixels.
struct Scale {
    values: (f64, f64),
    pixels: (f64, f64),
}

impl Scale {
    fn x(from: f64, to: f64) -> Self {
        Self {
            values: (from, to),
            pixels: (LEFT, LEFT + WIDTH),
        }
    }

    fn y(to: f64) -> Self {
        Self {
            values: (0.0, to),
            pixels: (TOP + HEIGHT, TOP),
        }
    }

    fn at(&self, value: f64) -> f64 {
        let ((from, to), (start, end)) = (self.values, self.pixels);
        start + (value - from) / (to - from) * (end - start)
    }

    /// Round values along the axis, about so many.
    fn ticks(&self, about: f64) -> impl Iterator<Item = (f64, String)> {
        let (from, to) = self.values;
        let step = round_step((to - from) / about);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let first = (from / step).ceil();
        let count = ((to / step + 1e-9).floor() - first).max(0.0) as usize;
        (0..=count).map(move |number| {
            let value = (first + number as f64) * step;
            (value, format!("{value:.decimals$}"))
        })
    }
}

fn histogram(page: &mut String, one: &Distribution) {
    let (Some(first), Some(last)) = (one.bins.first(), one.bins.last()) else {
        return;
    };
    let highest = one.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    let x = Scale::x(first.from, last.to);
    let y = Scale::y((highest as f64 * 1.05).max(1.0));
    let whole = y.ticks(4.0).filter(|(value, _)| value.fract() == 0.0);
    axes(page, &x, &y, whole, "requests");
    for bin in one.bins.iter().filter(|bin| bin.count > 0) {
        let (left, right) = (x.at(bin.from), x.at(bin.to));
        let top = y.at(bin.count as f64);
        let _ = write!(
            page,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
             fill=\"{COLOUR}\"><title>{}</title></rect>",
            (right - left - 0.5).max(0.5),
            TOP + HEIGHT - top,
            bin.count,
        );
    }
}

fn curve(page: &mut String, one: &Distribution) {
    // The histogram's range, so that the two can be compared.
    let from = one.bins.first().map_or(one.min, |bin| bin.from);
    let to = one.bins.last().map_or(one.max, |bin| bin.to);
    let (x, y) = (Scale::x(from, to), Scale::y(1.0));
    let percent = (0..=4).map(|quarter| {
        let share = f64::from(quarter) / 4.0;
        (share, format!("{} %", quarter * 25))
    });
    axes(page, &x, &y, percent, "requests at most so slow");
    let mut path = format!("M{:.1} {:.1}", x.at(from), y.at(0.0));
    for (value, share) in &one.cumulative {
        let _ = write!(path, "H{:.1}V{:.1}", x.at(*value), y.at(*share));
    }
    let _ = write!(path, "H{:.1}", x.at(to));
    let _ = write!(
        page,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{COLOUR}\" stroke-width=\"1.5\"/>"
    );
    for (number, (name, value)) in one.marks.iter().enumerate() {
        let at = x.at(*value);
        // One below the other, so that percentiles that lie close can be read, on the free side.
        let height = y.at(0.5) + 16.0 * number as f64;
        let (anchor, aside) = if at > LEFT + WIDTH / 2.0 {
            ("end", at - 4.0)
        } else {
            ("start", at + 4.0)
        };
        let _ = write!(
            page,
            "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\"/>\
             <text class=\"label\" x=\"{aside:.1}\" y=\"{height:.1}\" \
             text-anchor=\"{anchor}\">{name} {value:.3}</text>",
            TOP + HEIGHT,
        );
    }
}

fn axes(
    page: &mut String,
    x: &Scale,
    y: &Scale,
    y_ticks: impl Iterator<Item = (f64, String)>,
    y_title: &str,
) {
    let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
    let _ = write!(
        page,
        "<text x=\"{LEFT}\" y=\"{}\">{y_title}</text>",
        TOP - 12.0
    );
    for (value, label) in y_ticks {
        let at = y.at(value);
        let _ = write!(
            page,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 4.0,
        );
    }
    for (value, label) in x.ticks(6.0) {
        let at = x.at(value);
        let _ = write!(
            page,
            "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{}\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 4.0,
            bottom + 18.0,
        );
    }
    let _ = write!(
        page,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
