//! The letters of pictures: Roboto Regular (Google, Apache License 2.0), of which Latin, Greek, Cyrillic,
//! punctuation and some signs are here. What it lacks is a box.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId};

static FONT: &[u8] = include_bytes!("Roboto-Regular.subset.ttf");
static FACE: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(FONT, 0).ok());

/// Families for an SVG, whose reader brings the letters. Their widths are about the same.
pub(super) const FAMILIES: &str = "Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif";
/// What does not fit ends with it.
const ELLIPSIS: char = '…';
/// Nothing longer fits into an image.
const MAX_TEXT: usize = 2000;
/// A width, in parts of the size, where there is no font to ask.
const ABOUT: f64 = 0.6;

/// The glyphs of a text at a size: each with its place from the start.
pub(super) fn glyphs(text: &str, size: f64) -> impl Iterator<Item = (GlyphId, f64)> {
    let mut at = 0.0;
    text.chars().map(move |letter| {
        let (glyph, width) = glyph(letter);
        let place = at;
        at += width * size;
        (glyph, place)
    })
}

/// The font, and its units for each unit of size.
pub(super) fn face() -> Option<(&'static Face<'static>, f64)> {
    let face = FACE.as_ref()?;
    Some((face, f64::from(face.units_per_em())))
}

/// How wide a text is at a size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|letter| glyph(letter).1).sum::<f64>() * size
}

/// A letter's glyph, and its width at size 1.
fn glyph(letter: char) -> (GlyphId, f64) {
    let Some((face, units)) = face() else {
        return (GlyphId(0), ABOUT);
    };
    let glyph = face.glyph_index(letter).unwrap_or(GlyphId(0));
    let width = face
        .glyph_hor_advance(glyph)
        .map_or(ABOUT, |width| f64::from(width) / units);
    (glyph, width)
}

/// As much of a text as fits.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room - width(&ELLIPSIS.to_string(), size);
    let fits = |letter: &char| {
        left -= glyph(*letter).1 * size;
        left >= 0.0
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}{ELLIPSIS}", kept.trim_end())
}

/// A name that fits: its beginning and its end, since names differ in either.
pub(super) fn shortened(name: &str, size: f64, room: f64) -> String {
    if width(name, size) <= room {
        return name.to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let (mut left, mut head, mut tail) = (room - width(&ELLIPSIS.to_string(), size), 0, 0);
    while head + tail < letters.len() {
        // Two of the beginning for one of the end.
        let is_head = head < 2 * tail + 2;
        let next = if is_head {
            letters[head]
        } else {
            letters[letters.len() - 1 - tail]
        };
        left -= glyph(next).1 * size;
        if left < 0.0 {
            break;
        }
        if is_head { head += 1 } else { tail += 1 }
    }
    let head: String = letters[..head].iter().collect();
    let tail: String = letters[letters.len() - tail..].iter().collect();
    format!("{head}{ELLIPSIS}{tail}")
}

/// A text in lines of a width, at most so many; what is left ends with an ellipsis.
pub(super) fn wrapped(text: &str, size: f64, room: f64, max_lines: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let longer = match line.is_empty() {
                true => word.to_owned(),
                false => format!("{line} {word}"),
            };
            if line.is_empty() || width(&longer, size) <= room {
                line = longer;
            } else {
                lines.push(std::mem::replace(&mut line, word.to_owned()));
            }
        }
        lines.push(line);
    }
    if lines.len() > max_lines {
        let rest = lines.split_off(max_lines.saturating_sub(1)).join(" ");
        lines.push(rest);
    }
    lines.iter().map(|line| fitted(line, size, room)).collect()
}

/// A text as it is drawn: what figures mark up is taken away, and what has no form is, too.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next().filter(|_| plain.len() < MAX_TEXT) {
        let (length, drawn) = match letter {
            '<' => tag(rest),
            '&' => entity(rest),
            '\n' => (1, Some('\n')),
            '\t' => (1, Some(' ')),
            _ if letter.is_control() || is_formless(letter) => (letter.len_utf8(), None),
            _ => (letter.len_utf8(), Some(letter)),
        };
        plain.extend(drawn);
        rest = &rest[length..];
    }
    plain
}

/// The tags that figures may have in texts; anything else is text.
fn tag(rest: &str) -> (usize, Option<char>) {
    const TAGS: [&str; 8] = ["b", "i", "em", "sup", "sub", "span", "a", "br"];
    let found = rest.find('>').and_then(|end| {
        let inside = rest[1..end].trim_start_matches('/');
        let name = inside.split([' ', '/']).next()?;
        let name = TAGS.iter().find(|tag| tag.eq_ignore_ascii_case(name))?;
        Some((end + 1, (*name == "br").then_some('\n')))
    });
    found.unwrap_or((1, Some('<')))
}

fn entity(rest: &str) -> (usize, Option<char>) {
    const ENTITIES: [(&str, char); 8] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&#39;", '\''),
        ("&nbsp;", ' '),
        ("&mu;", 'µ'),
        ("&plusmn;", '±'),
    ];
    let known = ENTITIES.iter().find(|(text, _)| rest.starts_with(text));
    known.map_or((1, Some('&')), |(text, letter)| (text.len(), Some(*letter)))
}

/// Marks of direction, joiners and the like.
fn is_formless(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_the_letters_of_figures() {
        let (face, _) = face().unwrap();
        for letter in "AZaz09 µ≤≥−×·–…±²πДÄłő€%".chars() {
            assert!(face.glyph_index(letter).is_some(), "{letter}");
        }
        assert!(width("m", 12.0) > width("i", 12.0));
    }

    #[test]
    fn texts_are_cut_where_they_do_not_fit() {
        let name = "a-very-long-model-name/with-parts-and-more";
        let cut = fitted(name, 12.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let short = shortened("the same beginning, 17", 12.0, 80.0);
        assert!(
            short.starts_with("the s") && short.ends_with("17"),
            "{short}"
        );
        assert!(width(&short, 12.0) <= 80.0);
        let lines = wrapped("one two three four five six seven", 12.0, 60.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…') && lines.iter().all(|line| width(line, 12.0) <= 60.0));
    }

    #[test]
    fn markup_is_taken_away_and_the_rest_is_text() {
        assert_eq!(plain("<b>TTFT</b> a&lt;b<br>c"), "TTFT a<b\nc");
        assert_eq!(plain("</script><x> & \u{202e}\u{0}d"), "</script><x> & d");
        assert_eq!(plain("<span style=\"a\">é</span> &copy;"), "é &copy;");
    }
}
