//! Where the plots of a figure lie: each in a cell of its own, with room for what stands around it.

use super::axis::{Axis, Tick};
use super::drawing::Rect;
use super::font;
use super::heatmap::ColourBar;
use super::plot::Plot;

pub(super) const TICK_SIZE: f64 = 11.5;
pub(super) const TITLE_SIZE: f64 = 12.5;
/// From an axis to the labels of its ticks.
pub(super) const TICK_GAP: f64 = 7.0;
/// The room of an axis's title.
pub(super) const TITLE_ROOM: f64 = 21.0;
/// A line of tick labels.
pub(super) const LINE: f64 = 15.0;
pub(super) const BAR_WIDTH: f64 = 14.0;
pub(super) const BAR_GAP: f64 = 14.0;
/// Between labels that stand beside each other.
const BETWEEN: f64 = 10.0;
/// Names along an axis that do not fit are turned by so much, and cut to a length.
const TURN: f64 = -35.0;
const MAX_NAME: f64 = 130.0;
/// A tick along a vertical axis for each of so many pixels, at most.
const PER_TICK: f64 = 38.0;

/// One plot: an x axis, a y axis and perhaps another y axis at the right.
pub(super) struct Panel {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) right: Option<usize>,
    pub(super) title: String,
    pub(super) cell: Rect,
    /// Where its values lie.
    pub(super) rect: Rect,
    pub(super) x_ticks: Vec<Tick>,
    pub(super) y_ticks: Vec<Tick>,
    pub(super) right_ticks: Vec<Tick>,
    /// Degrees by which the labels below are turned, and how high they are.
    pub(super) turn: f64,
    pub(super) labels_height: f64,
    pub(super) bar: Option<ColourBar>,
    pub(super) shows_x: bool,
    pub(super) shows_y: bool,
}

/// What stands around a plot, in pixels.
#[derive(Clone, Copy, Default)]
struct Margins {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Margins {
    fn larger(self, other: Self) -> Self {
        Self {
            left: self.left.max(other.left),
            right: self.right.max(other.right),
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// The plots of a figure within an area.
pub(super) fn panels(plot: &Plot, area: Rect, titles: &[(usize, usize, String)]) -> Vec<Panel> {
    let mut panels = found(plot);
    for panel in &mut panels {
        let title = titles
            .iter()
            .find(|(x, y, _)| (*x, *y) == (panel.x, panel.y));
        panel.title = title.map(|title| title.2.clone()).unwrap_or_default();
    }
    let domains = |of: fn(&Panel) -> usize| -> Vec<[f64; 2]> {
        panels
            .iter()
            .map(|panel| plot.axes[of(panel)].domain)
            .collect()
    };
    let (across, up) = (domains(|panel| panel.x), domains(|panel| panel.y));
    let columns: Vec<[f64; 2]> = across.iter().map(|one| cell(*one, &across, 0.8)).collect();
    let rows: Vec<[f64; 2]> = up.iter().map(|one| cell(*one, &up, 0.15)).collect();
    for (panel, (column, row)) in panels.iter_mut().zip(columns.iter().zip(&rows)) {
        panel.cell = Rect::between(area.at(column[0], row[0]), area.at(column[1], row[1]));
        panel.rect = panel.cell;
    }
    // What stands around depends on how much room is left, and the other way round.
    for _ in 0..3 {
        let own: Vec<Margins> = panels.iter_mut().map(|panel| panel.margins(plot)).collect();
        for index in 0..panels.len() {
            let of = |same: &[[f64; 2]]| {
                let alike = (0..panels.len()).filter(|other| same[*other] == same[index]);
                alike
                    .map(|other| own[other])
                    .fold(Margins::default(), Margins::larger)
            };
            let (beside, above) = (of(&columns), of(&rows));
            let cell = panels[index].cell;
            let left = cell.x + beside.left;
            let top = cell.y + above.top;
            panels[index].rect = Rect {
                x: left,
                y: top,
                width: (cell.right() - beside.right - left).max(20.0),
                height: (cell.bottom() - above.bottom - top).max(20.0),
            };
        }
    }
    panels.iter_mut().for_each(|panel| _ = panel.margins(plot));
    panels
}

fn found(plot: &Plot) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    let named = |id: &Option<String>| {
        let id = id.as_ref()?;
        plot.axes.iter().position(|axis| axis.id == *id)
    };
    let pairs = plot.traces.iter().map(|trace| (trace.x, trace.y));
    // A figure without traces still has its axes.
    let first = |letter: char| {
        plot.axes
            .iter()
            .position(|axis| axis.id.starts_with(letter))
    };
    let fallback = first('x')
        .zip(first('y'))
        .filter(|_| plot.traces.is_empty());
    for (x, y) in pairs.chain(fallback) {
        let main = named(&plot.axes[y].overlaying).unwrap_or(y);
        let panel = match panels
            .iter()
            .position(|panel| (panel.x, panel.y) == (x, main))
        {
            Some(known) => &mut panels[known],
            None => {
                panels.push(Panel {
                    x,
                    y: main,
                    right: None,
                    title: String::new(),
                    cell: Rect::between([0.0; 2], [1.0; 2]),
                    rect: Rect::between([0.0; 2], [1.0; 2]),
                    x_ticks: Vec::new(),
                    y_ticks: Vec::new(),
                    right_ticks: Vec::new(),
                    turn: 0.0,
                    labels_height: LINE,
                    bar: None,
                    shows_x: true,
                    shows_y: true,
                });
                let last = panels.len() - 1;
                &mut panels[last]
            }
        };
        if main != y {
            panel.right = Some(y);
        }
    }
    // An axis that several plots share is labelled at the one that it is anchored to, or else the first.
    for index in 0..panels.len() {
        let (x, y) = (panels[index].x, panels[index].y);
        let is_first = |same: &dyn Fn(&Panel) -> bool| panels.iter().position(same) == Some(index);
        let first_x = is_first(&|panel| panel.x == x);
        let first_y = is_first(&|panel| panel.y == y);
        let has = |axis: Option<usize>,
                   of: fn(&Panel) -> usize,
                   own: usize,
                   this: fn(&Panel) -> usize| {
            axis.is_some_and(|axis| {
                panels
                    .iter()
                    .any(|panel| this(panel) == own && of(panel) == axis)
            })
        };
        let x_anchor = named(&plot.axes[x].anchor);
        let y_anchor = named(&plot.axes[y].anchor);
        let shows_x = match has(x_anchor, |panel| panel.y, x, |panel| panel.x) {
            true => x_anchor == Some(y),
            false => first_x,
        };
        let shows_y = match has(y_anchor, |panel| panel.x, y, |panel| panel.y) {
            true => y_anchor == Some(x),
            false => first_y,
        };
        panels[index].shows_x = shows_x && plot.axes[x].shows_labels;
        panels[index].shows_y = shows_y && plot.axes[y].shows_labels;
        let mut traces = plot
            .traces
            .iter()
            .filter(|trace| (trace.x, trace.y) == (x, y));
        panels[index].bar = traces.find_map(|trace| trace.bar.clone());
    }
    panels
}

/// The part of the figure that belongs to a plot: up to its neighbours, of whose distance it has so much at
/// its start.
fn cell(own: [f64; 2], all: &[[f64; 2]], part: f64) -> [f64; 2] {
    const SLACK: f64 = 1e-6;
    let before = all
        .iter()
        .map(|one| one[1])
        .filter(|end| *end <= own[0] + SLACK);
    let after = all
        .iter()
        .map(|one| one[0])
        .filter(|start| *start >= own[1] - SLACK);
    let before = before.reduce(f64::max);
    let after = after.reduce(f64::min);
    [
        before.map_or(0.0, |end| own[0] - (own[0] - end) * part),
        after.map_or(1.0, |start| start - (start - own[1]) * part),
    ]
}

impl Panel {
    /// Chooses ticks for the room that there is, and tells what stands around.
    fn margins(&mut self, plot: &Plot) -> Margins {
        let (x, y) = (&plot.axes[self.x], &plot.axes[self.y]);
        self.y_ticks = vertical(y, self.rect.height);
        let mut margins = Margins {
            left: 4.0,
            right: 8.0,
            top: 8.0,
            bottom: 4.0,
        };
        if self.shows_y {
            margins.left = TICK_GAP + widest(&self.y_ticks) + 4.0 + title_room(y);
        }
        if let Some(right) = self.right {
            let right = &plot.axes[right];
            self.right_ticks = vertical(right, self.rect.height);
            margins.right = TICK_GAP + widest(&self.right_ticks) + 4.0 + title_room(right);
        }
        if let Some(bar) = &self.bar {
            let labels = bar_ticks(bar, self.rect.height).into_iter();
            let labels = labels
                .map(|(_, label)| font::width(&label, TICK_SIZE))
                .fold(0.0, f64::max);
            let title = if bar.title.is_some() { TITLE_ROOM } else { 0.0 };
            margins.right = BAR_GAP + BAR_WIDTH + 6.0 + labels + title;
        }
        if !self.title.is_empty() {
            margins.top = LINE + 9.0;
        }
        (self.x_ticks, self.turn) = horizontal(x, self.rect.width);
        if self.shows_x {
            self.labels_height = match self.turn {
                0.0 => {
                    let last = self.x_ticks.iter().map(|tick| {
                        let half = font::width(&tick.label, TICK_SIZE) / 2.0;
                        half - (1.0 - x.share(tick.place)) * self.rect.width
                    });
                    margins.right = last.fold(margins.right, f64::max);
                    LINE
                }
                turn => {
                    // The first label may reach beyond the left edge.
                    let reach = |tick: &Tick| {
                        let length = font::width(&tick.label, TICK_SIZE) * turn.to_radians().cos();
                        length - x.share(tick.place) * self.rect.width
                    };
                    margins.left = self.x_ticks.iter().map(reach).fold(margins.left, f64::max);
                    widest(&self.x_ticks) * turn.to_radians().sin().abs() + LINE
                }
            };
            margins.bottom = TICK_GAP + self.labels_height + title_room(x);
        }
        margins
    }
}

fn title_room(axis: &Axis) -> f64 {
    if axis.title.is_some() {
        TITLE_ROOM
    } else {
        0.0
    }
}

fn widest(ticks: &[Tick]) -> f64 {
    let widths = ticks.iter().map(|tick| font::width(&tick.label, TICK_SIZE));
    widths.fold(0.0, f64::max)
}

/// The ticks of an axis that goes up, none of whose labels is over another.
fn vertical(axis: &Axis, height: f64) -> Vec<Tick> {
    let mut ticks = axis.ticks((height / PER_TICK).max(2.0));
    for tick in &mut ticks {
        tick.label = font::shortened(&tick.label, TICK_SIZE, MAX_NAME);
    }
    spread(&mut ticks, axis, height, |_| LINE);
    ticks
}

/// The ticks of an axis that goes across, and by how much their labels are turned.
fn horizontal(axis: &Axis, width: f64) -> (Vec<Tick>, f64) {
    let room = |tick: &Tick| font::width(&tick.label, TICK_SIZE) + BETWEEN;
    let fits = |ticks: &[Tick]| {
        let mut checked = ticks.to_vec();
        spread(&mut checked, axis, width, room);
        checked == ticks
    };
    let mut count = (width / 55.0).clamp(2.0, 12.0).floor();
    let mut ticks = axis.ticks(count);
    while count > 2.0 && !fits(&ticks) && !axis.has_names() {
        count -= 1.0;
        ticks = axis.ticks(count);
    }
    let mut turn = 0.0;
    if axis.has_names() && !fits(&ticks) {
        turn = TURN;
        for tick in &mut ticks {
            tick.label = font::shortened(&tick.label, TICK_SIZE, MAX_NAME);
        }
        spread(&mut ticks, axis, width, |_| LINE * 1.4);
    } else {
        spread(&mut ticks, axis, width, room);
    }
    (ticks, turn)
}

/// Takes away the labels that would be over the one before. `room` is what a label needs along the axis.
fn spread(ticks: &mut [Tick], axis: &Axis, length: f64, room: impl Fn(&Tick) -> f64) {
    let mut order: Vec<usize> = (0..ticks.len()).collect();
    order.sort_by(|one, other| {
        let share = |index: &usize| axis.share(ticks[*index].place);
        share(one).total_cmp(&share(other))
    });
    let mut end = f64::NEG_INFINITY;
    for index in order {
        let tick = &mut ticks[index];
        if tick.label.is_empty() {
            continue;
        }
        let half = room(tick) / 2.0;
        let middle = axis.share(tick.place) * length;
        if middle - half < end - 0.5 {
            tick.label.clear();
        } else {
            end = middle + half;
        }
    }
}

/// The ticks of a scale of colours: their shares of its height, and labels.
pub(super) fn bar_ticks(bar: &ColourBar, height: f64) -> Vec<(f64, String)> {
    let [from, to] = bar.range;
    let steps = super::number::steps(from, to, (height / PER_TICK).max(2.0));
    let label = |value: &f64| format!("{}{}", bar.format.write(*value), bar.unit);
    let labelled = steps
        .iter()
        .map(|value| ((value - from) / (to - from), label(value)));
    labelled.collect()
}
