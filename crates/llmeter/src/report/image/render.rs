//! A figure as a drawing: title, legend, plots with their axes, and what lies in them.

use serde_json::Value;

use super::colour::{AXIS, FAINT_TEXT, GRID, TEXT};
use super::drawing::{Anchor, Drawing, Point, Rect, Stroke, Text};
use super::extras::{self, Extras};
use super::font;
use super::marks::{Mark, Symbol, SymbolLook};
use super::panel::{
    BAR_GAP, BAR_WIDTH, LINE, Panel, TICK_GAP, TICK_SIZE, TITLE_SIZE, bar_ticks, panels,
};
use super::place::Places;
use super::plot::{Entry, Plot};

const PADDING: f64 = 16.0;
const HEAD_SIZE: f64 = 17.0;
const HEAD_LINE: f64 = 23.0;
const SUBTITLE_SIZE: f64 = 12.5;
const LEGEND_SIZE: f64 = 12.0;
const LEGEND_LINE: f64 = 19.0;
/// The sign before a name in the legend.
const SIGN: f64 = 24.0;
const MAX_NAME: f64 = 300.0;
const MAX_ENTRIES: usize = 24;
/// Points may lie on the edge of a plot.
const EDGE: f64 = 8.0;
/// Room for notes above the plots.
const ABOVE: f64 = 12.0;
/// Parts of a scale of colours.
const STEPS: usize = 96;

/// Draws a figure of this size.
pub(super) fn draw(figure: &Value, width: f64, height: f64) -> Drawing {
    let plot = Plot::of(figure);
    let title = font::fitted(&plot.title.replace('\n', " "), HEAD_SIZE, 2.0 * width);
    let mut drawing = Drawing::new(width, height, title);
    let area = Rect {
        x: PADDING,
        y: PADDING,
        width: width - 2.0 * PADDING,
        height: height - 2.0 * PADDING,
    };
    let top = head(&mut drawing, &plot, area);
    let extras = Extras::of(&figure["layout"], &plot);
    let above = if extras.has_above { ABOVE } else { 0.0 };
    let area = Rect {
        y: top + above,
        height: area.bottom() - top - above,
        ..area
    };
    let panels = panels(&plot, area, &extras.titles);
    for panel in &panels {
        grid(&mut drawing, &plot, panel);
    }
    extras::shapes(&mut drawing, &extras, &plot, &panels, true);
    for panel in &panels {
        traces(&mut drawing, &plot, panel);
    }
    extras::shapes(&mut drawing, &extras, &plot, &panels, false);
    for panel in &panels {
        frame(&mut drawing, &plot, panel);
        let room = EDGE;
        let mut places = Places::new(Rect {
            x: panel.rect.x - room,
            y: panel.rect.y - room - above,
            width: panel.rect.width + 2.0 * room,
            height: panel.rect.height + 2.0 * room + above,
        });
        extras::notes(&mut drawing, &extras, &plot, panel, &panels, &mut places);
        labels(&mut drawing, &plot, panel, &mut places);
    }
    if plot.traces.iter().all(|trace| trace.marks.is_empty()) {
        let middle = area.at(0.5, 0.5);
        drawing.text(line(middle, "no data", TITLE_SIZE, Anchor::Middle));
    }
    drawing
}

/// A line of text that stands level.
pub(super) fn line(at: Point, text: &str, size: f64, anchor: Anchor) -> Text {
    Text {
        at,
        text: text.to_owned(),
        size,
        anchor,
        colour: FAINT_TEXT,
        turn: 0.0,
        has_halo: false,
    }
}

/// Title and legend; gives where they end.
fn head(drawing: &mut Drawing, plot: &Plot, area: Rect) -> f64 {
    let mut y = area.y;
    for text in font::wrapped(&plot.title, HEAD_SIZE, area.width, 2) {
        if !text.is_empty() {
            y += HEAD_LINE;
            drawing.text(Text {
                colour: TEXT,
                ..line([area.x, y - 6.0], &text, HEAD_SIZE, Anchor::Start)
            });
        }
    }
    for text in font::wrapped(&plot.subtitle, SUBTITLE_SIZE, area.width, 2) {
        if !text.is_empty() {
            y += LINE + 2.0;
            drawing.text(line([area.x, y - 4.0], &text, SUBTITLE_SIZE, Anchor::Start));
        }
    }
    if plot.legend.is_empty() {
        return y + 4.0;
    }
    y += 4.0;
    let mut x = area.x;
    for (number, entry) in plot.legend.iter().enumerate() {
        if number == MAX_ENTRIES {
            let rest = format!("and {} more", plot.legend.len() - MAX_ENTRIES);
            drawing.text(line([x, y + 14.0], &rest, LEGEND_SIZE, Anchor::Start));
            break;
        }
        let name = entry.name.replace('\n', " ");
        let name = font::shortened(&name, LEGEND_SIZE, MAX_NAME.min(area.width - SIGN - 6.0));
        let width = SIGN + 6.0 + font::width(&name, LEGEND_SIZE) + 18.0;
        if x > area.x && x + width > area.right() + 18.0 {
            (x, y) = (area.x, y + LEGEND_LINE);
        }
        sign(drawing, entry, [x, y + 9.5]);
        let text = line(
            [x + SIGN + 6.0, y + 14.0],
            &name,
            LEGEND_SIZE,
            Anchor::Start,
        );
        drawing.text(Text {
            colour: TEXT,
            ..text
        });
        x += width;
    }
    y + LEGEND_LINE + 4.0
}

/// What a trace looks like, in the legend.
fn sign(drawing: &mut Drawing, entry: &Entry, [x, y]: Point) {
    let middle = [x + SIGN / 2.0, y];
    if let Some(fill) = entry.fill {
        let rect = Rect {
            x: middle[0] - 6.0,
            y: y - 5.0,
            width: 12.0,
            height: 10.0,
        };
        drawing.rect(rect, Some(fill), entry.line.clone());
    } else if let Some(stroke) = &entry.line {
        drawing.line(vec![[x, y], [x + SIGN, y]], stroke.clone());
    }
    if let Some(look) = entry.symbol {
        symbol(drawing, middle, look);
    }
}

fn grid(drawing: &mut Drawing, plot: &Plot, panel: &Panel) {
    let (x, y) = (&plot.axes[panel.x], &plot.axes[panel.y]);
    let rect = panel.rect;
    let thin = |is_labelled: bool| Stroke::plain(GRID, if is_labelled { 1.0 } else { 0.5 });
    if x.shows_grid && !x.has_names() && panel.bar.is_none() {
        for tick in &panel.x_ticks {
            let at = rect.at(x.share(tick.place), 0.0)[0];
            let ends = vec![[at, rect.y], [at, rect.bottom()]];
            drawing.line(ends, thin(!tick.label.is_empty()));
        }
    }
    if y.shows_grid && !y.has_names() && panel.bar.is_none() {
        for tick in &panel.y_ticks {
            let at = rect.at(0.0, y.share(tick.place))[1];
            let ends = vec![[rect.x, at], [rect.right(), at]];
            drawing.line(ends, thin(!tick.label.is_empty()));
        }
    }
}

/// Axes with their ticks and titles, and the scale of colours.
fn frame(drawing: &mut Drawing, plot: &Plot, panel: &Panel) {
    drawing.cut_to(None);
    let rect = panel.rect;
    let edge = Stroke::plain(AXIS, 1.0);
    let (left, right, bottom) = (rect.x, rect.right(), rect.bottom());
    drawing.line(vec![[left, bottom], [right, bottom]], edge.clone());
    drawing.line(vec![[left, rect.y], [left, bottom]], edge.clone());
    let x = &plot.axes[panel.x];
    if panel.shows_x {
        for tick in panel.x_ticks.iter().filter(|tick| !tick.label.is_empty()) {
            let at = rect.at(x.share(tick.place), 0.0)[0];
            drawing.line(vec![[at, bottom], [at, bottom + 4.0]], edge.clone());
            let text = match panel.turn {
                0.0 => line(
                    [at, bottom + TICK_GAP + 9.0],
                    &tick.label,
                    TICK_SIZE,
                    Anchor::Middle,
                ),
                turn => Text {
                    turn,
                    ..line(
                        [at + 4.0, bottom + TICK_GAP + 7.0],
                        &tick.label,
                        TICK_SIZE,
                        Anchor::End,
                    )
                },
            };
            drawing.text(text);
        }
        let below = bottom + TICK_GAP + panel.labels_height;
        let at = [rect.x + rect.width / 2.0, below + TITLE_SIZE + 2.0];
        title(drawing, x.title.as_deref(), at, rect.width, 0.0);
    }
    let y = &plot.axes[panel.y];
    let middle = rect.y + rect.height / 2.0;
    if panel.shows_y {
        for tick in panel.y_ticks.iter().filter(|tick| !tick.label.is_empty()) {
            let at = rect.at(0.0, y.share(tick.place))[1];
            drawing.line(vec![[left - 4.0, at], [left, at]], edge.clone());
            let at = [left - TICK_GAP, at + TICK_SIZE * 0.35];
            drawing.text(line(at, &tick.label, TICK_SIZE, Anchor::End));
        }
        let widest = panel
            .y_ticks
            .iter()
            .map(|tick| font::width(&tick.label, TICK_SIZE));
        let at = left - TICK_GAP - widest.fold(0.0, f64::max) - 10.0;
        title(
            drawing,
            y.title.as_deref(),
            [at, middle],
            rect.height,
            -90.0,
        );
    }
    if let Some(axis) = panel.right.map(|right| &plot.axes[right]) {
        drawing.line(vec![[right, rect.y], [right, bottom]], edge.clone());
        for tick in panel
            .right_ticks
            .iter()
            .filter(|tick| !tick.label.is_empty())
        {
            let at = rect.at(0.0, axis.share(tick.place))[1];
            drawing.line(vec![[right, at], [right + 4.0, at]], edge.clone());
            let at = [right + TICK_GAP, at + TICK_SIZE * 0.35];
            drawing.text(line(at, &tick.label, TICK_SIZE, Anchor::Start));
        }
        let widest = panel
            .right_ticks
            .iter()
            .map(|tick| font::width(&tick.label, TICK_SIZE));
        let at = right + TICK_GAP + widest.fold(0.0, f64::max) + 16.0;
        title(
            drawing,
            axis.title.as_deref(),
            [at, middle],
            rect.height,
            -90.0,
        );
    }
    if !panel.title.is_empty() {
        let text = font::fitted(&panel.title, TITLE_SIZE, rect.width);
        let at = [rect.x + rect.width / 2.0, rect.y - 8.0];
        drawing.text(Text {
            colour: TEXT,
            ..line(at, &text, TITLE_SIZE, Anchor::Middle)
        });
    }
    colour_bar(drawing, panel);
}

fn title(drawing: &mut Drawing, title: Option<&str>, at: Point, room: f64, turn: f64) {
    let title = title.unwrap_or_default().replace('\n', " ");
    let text = font::fitted(&title, TITLE_SIZE, room);
    drawing.text(Text {
        turn,
        colour: TEXT,
        ..line(at, &text, TITLE_SIZE, Anchor::Middle)
    });
}

fn colour_bar(drawing: &mut Drawing, panel: &Panel) {
    let Some(bar) = &panel.bar else {
        return;
    };
    let rect = Rect {
        x: panel.rect.right() + BAR_GAP,
        width: BAR_WIDTH,
        ..panel.rect
    };
    for step in 0..STEPS {
        let share = |step: usize| step as f64 / STEPS as f64;
        let colour = bar.scale.at(share(step) + share(1) / 2.0);
        // Each reaches below the next one, so that no seam is seen.
        let upper = (share(step + 1) + share(1) / 2.0).min(1.0);
        let part = Rect::between(rect.at(0.0, share(step)), rect.at(1.0, upper));
        drawing.rect(part, Some(colour), None);
    }
    let mut widest = 0.0_f64;
    for (share, label) in bar_ticks(bar, rect.height) {
        let at = rect.at(1.0, share);
        drawing.line(vec![at, [at[0] + 4.0, at[1]]], Stroke::plain(AXIS, 1.0));
        let at = [at[0] + 6.0, at[1] + TICK_SIZE * 0.35];
        drawing.text(line(at, &label, TICK_SIZE, Anchor::Start));
        widest = widest.max(font::width(&label, TICK_SIZE));
    }
    let at = [
        rect.right() + 6.0 + widest + 16.0,
        rect.y + rect.height / 2.0,
    ];
    title(drawing, bar.title.as_deref(), at, rect.height, -90.0);
}

/// The marks of a plot, labels aside.
fn traces(drawing: &mut Drawing, plot: &Plot, panel: &Panel) {
    let rect = panel.rect;
    for trace in &plot.traces {
        if trace.x != panel.x || !panel.has(trace.y) {
            continue;
        }
        let (x, y) = (&plot.axes[trace.x], &plot.axes[trace.y]);
        let at = |[across, up]: Point| rect.at(x.share(across), y.share(up));
        for mark in &trace.marks {
            drawing.cut_to(Some(rect));
            match mark {
                Mark::Line { points, stroke } => {
                    drawing.line(
                        points.iter().map(|point| at(*point)).collect(),
                        stroke.clone(),
                    );
                }
                Mark::Area { points, fill } => {
                    drawing.area(points.iter().map(|point| at(*point)).collect(), *fill);
                }
                Mark::Bar {
                    from,
                    to,
                    fill,
                    stroke,
                } => {
                    let rect = Rect::between(at(*from), at(*to));
                    drawing.rect(rect, Some(*fill), stroke.clone());
                }
                Mark::Symbol { at: point, look } => {
                    let point = at(*point);
                    drawing.cut_to(None);
                    if is_near(&rect, point) {
                        symbol(drawing, point, *look);
                    }
                }
                Mark::Whisker {
                    from,
                    to,
                    caps,
                    stroke,
                } => {
                    let (from, to) = (at(*from), at(*to));
                    drawing.line(vec![from, to], stroke.clone());
                    let is_up = (from[0] - to[0]).abs() < (from[1] - to[1]).abs();
                    let aside = if is_up {
                        [caps / 2.0, 0.0]
                    } else {
                        [0.0, caps / 2.0]
                    };
                    for [x, y] in [from, to] {
                        let cap = vec![[x - aside[0], y - aside[1]], [x + aside[0], y + aside[1]]];
                        drawing.line(cap, stroke.clone());
                    }
                }
                Mark::Label { .. } => {}
            }
        }
    }
    drawing.cut_to(None);
}

/// The texts of a plot's traces.
fn labels(drawing: &mut Drawing, plot: &Plot, panel: &Panel, places: &mut Places) {
    const SIZE: f64 = 11.0;
    for trace in &plot.traces {
        if trace.x != panel.x || !panel.has(trace.y) {
            continue;
        }
        let (x, y) = (&plot.axes[trace.x], &plot.axes[trace.y]);
        let at = |[across, up]: Point| panel.rect.at(x.share(across), y.share(up));
        for mark in &trace.marks {
            let Mark::Label {
                at: point,
                text,
                side,
                distance,
                colour,
                within,
            } = mark
            else {
                continue;
            };
            let point = at(*point);
            match within.map(at) {
                Some(corner) => {
                    let room = 2.0 * (corner[0] - point[0]).abs() - 4.0;
                    let height = 2.0 * (corner[1] - point[1]).abs();
                    // As many of the first lines as have room.
                    let lines = text.lines().take((height / (SIZE * 1.3)) as usize);
                    let lines = lines.take_while(|line| font::width(line, SIZE) <= room);
                    let lines: Vec<&str> = lines.collect();
                    let above = (lines.len() as f64 - 1.0) / 2.0;
                    for (number, text) in lines.iter().enumerate() {
                        let down = (number as f64 - above) * SIZE * 1.3 + SIZE * 0.35;
                        let at = [point[0], point[1] + down];
                        drawing.text(Text {
                            colour: *colour,
                            ..line(at, text, SIZE, Anchor::Middle)
                        });
                    }
                }
                None if is_near(&panel.rect, point) => {
                    places.put(drawing, text, point, *side, *distance, (SIZE, *colour));
                }
                None => {}
            }
        }
    }
}

fn is_near(rect: &Rect, [x, y]: Point) -> bool {
    x >= rect.x - 1.0 && x <= rect.right() + 1.0 && y >= rect.y - 1.0 && y <= rect.bottom() + 1.0
}

fn symbol(drawing: &mut Drawing, [x, y]: Point, look: SymbolLook) {
    let half = look.size / 2.0;
    let (fill, stroke) = match look.is_open {
        true => (None, Some(Stroke::plain(look.colour, 1.5))),
        false => (Some(look.colour), None),
    };
    let around = |corners: &[Point]| -> Vec<Point> {
        corners
            .iter()
            .map(|[dx, dy]| [x + dx * half, y + dy * half])
            .collect()
    };
    const THIN: f64 = 0.36;
    let corners = match look.symbol {
        Symbol::Circle => return drawing.circle([x, y], half, fill, stroke),
        Symbol::Square => around(&[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
        Symbol::Diamond => around(&[[0.0, -1.2], [1.2, 0.0], [0.0, 1.2], [-1.2, 0.0]]),
        Symbol::TriangleUp => around(&[[0.0, -1.1], [1.05, 0.8], [-1.05, 0.8]]),
        Symbol::TriangleDown => around(&[[0.0, 1.1], [1.05, -0.8], [-1.05, -0.8]]),
        Symbol::Bar => {
            let ends = around(&[[0.0, -1.0], [0.0, 1.0]]);
            return drawing.line(ends, Stroke::plain(look.colour, 1.5));
        }
        Symbol::Cross | Symbol::Times => {
            let cross = [
                [-THIN, -1.1],
                [THIN, -1.1],
                [THIN, -THIN],
                [1.1, -THIN],
                [1.1, THIN],
                [THIN, THIN],
                [THIN, 1.1],
                [-THIN, 1.1],
                [-THIN, THIN],
                [-1.1, THIN],
                [-1.1, -THIN],
                [-THIN, -THIN],
            ];
            let turn = match look.symbol {
                Symbol::Times => std::f64::consts::FRAC_1_SQRT_2,
                _ => 0.0,
            };
            let turned = cross.map(|[dx, dy]| match turn > 0.0 {
                true => [(dx - dy) * turn, (dx + dy) * turn],
                false => [dx, dy],
            });
            around(&turned)
        }
    };
    drawing.path(corners, true, fill, stroke);
}

impl Panel {
    /// Whether traces of this y axis lie in it.
    fn has(&self, y: usize) -> bool {
        self.y == y || self.right == Some(y)
    }
}
