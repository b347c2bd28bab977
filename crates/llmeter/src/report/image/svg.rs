//! A drawing as SVG.

use std::fmt::{self, Display, Write};

use super::colour::{Colour, WHITE};
use super::drawing::{Anchor, Drawing, Point, Shape, Stroke, Text};
use super::font::FAMILIES;

/// Writes a drawing. The document needs nothing else, and runs nothing.
pub(super) fn write(drawing: &Drawing) -> String {
    let mut svg = String::new();
    // Writing to a text cannot fail.
    let _ = write_to(&mut svg, drawing);
    svg
}

fn write_to(svg: &mut String, drawing: &Drawing) -> fmt::Result {
    let (width, height) = (Short(drawing.width), Short(drawing.height));
    let title = escaped(&drawing.title);
    write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FAMILIES}\">\
         <title>{title}</title><rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>",
        Css(WHITE)
    )?;
    if !drawing.clips.is_empty() {
        svg.push_str("<defs>");
        for (place, clip) in drawing.clips.iter().enumerate() {
            write!(
                svg,
                "<clipPath id=\"c{place}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
                Short(clip.x),
                Short(clip.y),
                Short(clip.width),
                Short(clip.height)
            )?;
        }
        svg.push_str("</defs>");
    }
    let mut open = None;
    for (shape, clip) in &drawing.shapes {
        if open != *clip {
            if open.is_some() {
                svg.push_str("</g>");
            }
            if let Some(clip) = clip {
                write!(svg, "<g clip-path=\"url(#c{clip})\">")?;
            }
            open = *clip;
        }
        svg.push('\n');
        match shape {
            Shape::Path {
                points,
                is_closed,
                fill,
                stroke,
            } => {
                svg.push_str("<path d=\"");
                for (place, point) in points.iter().enumerate() {
                    let [x, y] = point.map(Short);
                    write!(svg, "{}{x} {y}", if place == 0 { 'M' } else { 'L' })?;
                }
                svg.push_str(if *is_closed { "Z\"" } else { "\"" });
                look(svg, *fill, stroke.as_ref())?;
                svg.push_str("/>");
            }
            Shape::Circle {
                centre,
                radius,
                fill,
                stroke,
            } => {
                let [x, y] = centre.map(Short);
                write!(
                    svg,
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\"",
                    Short(*radius)
                )?;
                look(svg, *fill, stroke.as_ref())?;
                svg.push_str("/>");
            }
            Shape::Text(text) => write_text(svg, text)?,
        }
    }
    if open.is_some() {
        svg.push_str("</g>");
    }
    svg.push_str("\n</svg>\n");
    Ok(())
}

fn look(svg: &mut String, fill: Option<Colour>, stroke: Option<&Stroke>) -> fmt::Result {
    match fill {
        Some(fill) => {
            write!(svg, " fill=\"{}\"", Css(fill))?;
            opacity(svg, "fill-opacity", fill)?;
        }
        None => svg.push_str(" fill=\"none\""),
    }
    let Some(stroke) = stroke else {
        return Ok(());
    };
    let (colour, width) = (Css(stroke.colour), Short(stroke.width));
    write!(
        svg,
        " stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\""
    )?;
    opacity(svg, "stroke-opacity", stroke.colour)?;
    if !stroke.dashes.is_empty() {
        let dashes: Vec<String> = stroke
            .dashes
            .iter()
            .map(|one| Short(*one).to_string())
            .collect();
        write!(svg, " stroke-dasharray=\"{}\"", dashes.join(" "))?;
    }
    Ok(())
}

fn opacity(svg: &mut String, name: &str, colour: Colour) -> fmt::Result {
    match colour.opacity < 1.0 {
        true => write!(svg, " {name}=\"{}\"", Short(colour.opacity)),
        false => Ok(()),
    }
}

fn write_text(svg: &mut String, text: &Text) -> fmt::Result {
    let [x, y]: Point = text.at;
    let (x, y) = (Short(x), Short(y));
    write!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"",
        Short(text.size),
        Css(text.colour)
    )?;
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => svg.push_str(" text-anchor=\"middle\""),
        Anchor::End => svg.push_str(" text-anchor=\"end\""),
    }
    if text.turn != 0.0 {
        write!(svg, " transform=\"rotate({} {x} {y})\"", Short(text.turn))?;
    }
    if text.has_halo {
        svg.push_str(" stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"");
    }
    write!(svg, ">{}</text>", escaped(&text.text))
}

/// Text that no reader takes for anything else; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if letter.is_control() => {}
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// A number with two decimals at most.
struct Short(f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 100.0).round() / 100.0;
        // No -0.
        write!(f, "{}", rounded + 0.0)
    }
}

struct Css(Colour);

impl Display for Css {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Colour {
            red, green, blue, ..
        } = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}
