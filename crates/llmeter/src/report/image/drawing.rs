//! What a picture consists of: shapes and texts at places in pixels.

use super::colour::Colour;

/// Coordinates beyond are cut: nothing so far out is seen, and rasters cannot reach it.
const FARTHEST: f64 = 50_000.0;

pub(super) type Point = [f64; 2];

/// A rectangle; `y` grows downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    /// The rectangle between two corners.
    pub(super) fn between(one: Point, other: Point) -> Self {
        Self {
            x: one[0].min(other[0]),
            y: one[1].min(other[1]),
            width: (one[0] - other[0]).abs(),
            height: (one[1] - other[1]).abs(),
        }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// The place at these shares of width and height, from the lower left corner.
    pub(super) fn at(&self, across: f64, up: f64) -> Point {
        [
            self.x + across * self.width,
            self.bottom() - up * self.height,
        ]
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }

    pub(super) fn holds(&self, other: &Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && self.right() >= other.right()
            && self.bottom() >= other.bottom()
    }
}

/// A line's look. Dashes are lengths of line and gap, in turns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    pub(super) dashes: Vec<f64>,
}

impl Stroke {
    pub(super) fn plain(colour: Colour, width: f64) -> Self {
        Self {
            colour,
            width,
            dashes: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text; `at` is on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) at: Point,
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) anchor: Anchor,
    pub(super) colour: Colour,
    /// Degrees, clockwise, about `at`.
    pub(super) turn: f64,
    /// Whether it stands out from what lies below.
    pub(super) has_halo: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Path {
        points: Vec<Point>,
        is_closed: bool,
        fill: Option<Colour>,
        stroke: Option<Stroke>,
    },
    Circle {
        centre: Point,
        radius: f64,
        fill: Option<Colour>,
        stroke: Option<Stroke>,
    },
    Text(Text),
}

/// A picture, from the lowest shape to the highest.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    /// What it shows, for who does not see it.
    pub(super) title: String,
    /// Each shape, and the place among `clips` of the rectangle that it is cut to.
    pub(super) shapes: Vec<(Shape, Option<usize>)>,
    pub(super) clips: Vec<Rect>,
    clip: Option<usize>,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64, title: String) -> Self {
        Self {
            width,
            height,
            title,
            shapes: Vec::new(),
            clips: Vec::new(),
            clip: None,
        }
    }

    /// Cuts what follows to a rectangle.
    pub(super) fn cut_to(&mut self, clip: Option<Rect>) {
        self.clip = clip.map(|clip| {
            let known = self.clips.iter().position(|known| *known == clip);
            known.unwrap_or_else(|| {
                self.clips.push(clip);
                self.clips.len() - 1
            })
        });
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        self.path(points, false, None, Some(stroke));
    }

    pub(super) fn area(&mut self, points: Vec<Point>, fill: Colour) {
        self.path(points, true, Some(fill), None);
    }

    pub(super) fn path(
        &mut self,
        points: Vec<Point>,
        is_closed: bool,
        fill: Option<Colour>,
        stroke: Option<Stroke>,
    ) {
        let mut points = points;
        for coordinate in points.iter_mut().flatten() {
            if coordinate.is_nan() {
                return;
            }
            *coordinate = coordinate.clamp(-FARTHEST, FARTHEST);
        }
        if points.len() > 1 {
            let path = Shape::Path {
                points,
                is_closed,
                fill,
                stroke,
            };
            self.shapes.push((path, self.clip));
        }
    }

    pub(super) fn rect(&mut self, rect: Rect, fill: Option<Colour>, stroke: Option<Stroke>) {
        let (right, bottom) = (rect.right(), rect.bottom());
        let corners = vec![
            [rect.x, rect.y],
            [right, rect.y],
            [right, bottom],
            [rect.x, bottom],
        ];
        self.path(corners, true, fill, stroke);
    }

    pub(super) fn circle(
        &mut self,
        centre: Point,
        radius: f64,
        fill: Option<Colour>,
        stroke: Option<Stroke>,
    ) {
        if centre.iter().all(|at| at.abs() < FARTHEST) && radius.is_finite() {
            let circle = Shape::Circle {
                centre,
                radius,
                fill,
                stroke,
            };
            self.shapes.push((circle, self.clip));
        }
    }

    pub(super) fn text(&mut self, text: Text) {
        if !text.text.is_empty() && text.at.iter().all(|at| at.abs() < FARTHEST) {
            self.shapes.push((Shape::Text(text), self.clip));
        }
    }
}
