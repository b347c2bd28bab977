//! A drawing as PNG.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, StrokeDash,
    Transform,
};
use ttf_parser::OutlineBuilder;

use super::colour::{Colour, WHITE};
use super::drawing::{Anchor, Drawing, Rect, Shape, Stroke, Text};
use super::font;
use crate::{Error, Result};

/// Draws a drawing with so many pixels for each of its own.
pub(super) fn draw(drawing: &Drawing, scale: f64) -> Result<Vec<u8>> {
    let side = |length: f64| (length * scale).ceil().max(1.0) as u32;
    let (width, height) = (side(drawing.width), side(drawing.height));
    let scale = Transform::from_scale(scale as f32, scale as f32);
    let pixmap = Pixmap::new(width, height).zip(Mask::new(width, height));
    let (mut pixmap, empty) = pixmap.ok_or(Error::Internal("a picture without an extent"))?;
    pixmap.fill(colour(WHITE));
    let masks: Vec<Mask> = drawing
        .clips
        .iter()
        .map(|clip| {
            let mut mask = empty.clone();
            if let Some(area) = area(clip) {
                mask.fill_path(
                    &PathBuilder::from_rect(area),
                    FillRule::Winding,
                    false,
                    scale,
                );
            }
            mask
        })
        .collect();
    for (shape, clip) in &drawing.shapes {
        let mut canvas = Canvas {
            pixmap: &mut pixmap,
            scale,
            mask: clip.and_then(|clip| masks.get(clip)),
        };
        canvas.shape(shape);
    }
    pixmap
        .encode_png()
        .map_err(|_| Error::Internal("a picture that cannot be encoded"))
}

struct Canvas<'c> {
    pixmap: &'c mut Pixmap,
    scale: Transform,
    mask: Option<&'c Mask>,
}

impl Canvas<'_> {
    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Path {
                points,
                is_closed,
                fill,
                stroke,
            } => {
                let mut path = PathBuilder::new();
                for (place, &[x, y]) in points.iter().enumerate() {
                    match place {
                        0 => path.move_to(x as f32, y as f32),
                        _ => path.line_to(x as f32, y as f32),
                    }
                }
                if *is_closed {
                    path.close();
                }
                self.path(path.finish(), *fill, stroke.as_ref());
            }
            Shape::Circle {
                centre: [x, y],
                radius,
                fill,
                stroke,
            } => {
                let circle = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                self.path(circle, *fill, stroke.as_ref());
            }
            Shape::Text(text) => self.text(text),
        }
    }

    fn path(&mut self, path: Option<Path>, fill: Option<Colour>, stroke: Option<&Stroke>) {
        let Some(path) = path else {
            return;
        };
        if let Some(fill) = fill {
            let (paint, rule) = (paint(fill), FillRule::Winding);
            self.pixmap
                .fill_path(&path, &paint, rule, self.scale, self.mask);
        }
        if let Some(stroke) = stroke {
            let dashes = stroke.dashes.iter().map(|length| *length as f32).collect();
            let look = tiny_skia::Stroke {
                width: stroke.width as f32,
                line_cap: LineCap::Butt,
                line_join: LineJoin::Round,
                dash: StrokeDash::new(dashes, 0.0),
                ..tiny_skia::Stroke::default()
            };
            let paint = paint(stroke.colour);
            self.pixmap
                .stroke_path(&path, &paint, &look, self.scale, self.mask);
        }
    }

    fn text(&mut self, text: &Text) {
        let Some((face, units)) = font::face() else {
            return;
        };
        let start = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -font::width(&text.text, text.size) / 2.0,
            Anchor::End => -font::width(&text.text, text.size),
        };
        let mut outline = Outline {
            path: PathBuilder::new(),
            at: 0.0,
            scale: (text.size / units) as f32,
        };
        for (glyph, place) in font::glyphs(&text.text, text.size) {
            outline.at = (start + place) as f32;
            face.outline_glyph(glyph, &mut outline);
        }
        let place = Transform::from_rotate(text.turn as f32)
            .post_translate(text.at[0] as f32, text.at[1] as f32);
        let path = outline.path.finish().and_then(|path| path.transform(place));
        let halo = Stroke::plain(WHITE, 3.0);
        if text.has_halo {
            self.path(path.clone(), None, Some(&halo));
        }
        self.path(path, Some(text.colour), None);
    }
}

/// Puts a glyph's outline where it belongs; fonts count upwards.
struct Outline {
    path: PathBuilder,
    at: f32,
    scale: f32,
}

impl Outline {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (self.at + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2)) = (self.place(x1, y1), self.place(x2, y2));
        let (x, y) = self.place(x, y);
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

fn area(rect: &Rect) -> Option<tiny_skia::Rect> {
    let (width, height) = (rect.width as f32, rect.height as f32);
    tiny_skia::Rect::from_xywh(rect.x as f32, rect.y as f32, width, height)
}

fn colour(colour: Colour) -> Color {
    let opacity = (colour.opacity * 255.0).round() as u8;
    Color::from_rgba8(colour.red, colour.green, colour.blue, opacity)
}

fn paint(fill: Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(colour(fill));
    paint.anti_alias = true;
    paint
}
