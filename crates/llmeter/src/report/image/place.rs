//! Texts within a plot, none of which is over another.

use super::colour::Colour;
use super::drawing::{Anchor, Drawing, Point, Rect, Text};
use super::font;

/// Where a text may stand beside its point, from the best place on.
const SIDES: [[f64; 2]; 8] = [
    [0.0, -1.0],
    [1.0, -1.0],
    [-1.0, -1.0],
    [1.0, 0.0],
    [-1.0, 0.0],
    [0.0, 1.0],
    [1.0, 1.0],
    [-1.0, 1.0],
];

/// The places that are taken.
pub(super) struct Places {
    within: Rect,
    taken: Vec<Rect>,
}

impl Places {
    pub(super) fn new(within: Rect) -> Self {
        Self {
            within,
            taken: Vec::new(),
        }
    }

    /// Puts a text beside a point, on the given side or another one; leaves it out if there is no room.
    pub(super) fn put(
        &mut self,
        drawing: &mut Drawing,
        text: &str,
        at: Point,
        side: [f64; 2],
        distance: f64,
        (size, colour): (f64, Colour),
    ) {
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let line_height = size * 1.2;
        let width = lines
            .iter()
            .map(|line| font::width(line, size))
            .fold(0.0, f64::max);
        let height = lines.len() as f64 * line_height;
        let others = SIDES.into_iter().filter(|other| *other != side);
        for [right, down] in std::iter::once(side).chain(others) {
            let middle = [
                at[0] + right * (width / 2.0 + distance),
                at[1] + down * (height / 2.0 + distance),
            ];
            let rect = Rect {
                x: middle[0] - width / 2.0,
                y: middle[1] - height / 2.0,
                width,
                height,
            };
            if !self.within.holds(&rect) || self.taken.iter().any(|taken| taken.overlaps(&rect)) {
                continue;
            }
            self.taken.push(rect);
            for (number, line) in lines.iter().enumerate() {
                drawing.text(Text {
                    at: [middle[0], rect.y + (number as f64 + 0.82) * line_height],
                    text: (*line).to_owned(),
                    size,
                    anchor: Anchor::Middle,
                    colour,
                    turn: 0.0,
                    has_halo: true,
                });
            }
            return;
        }
    }
}
