//! A report as one HTML page that needs nothing else.
//!
//! Belongs here: how blocks look on a page, and what the page may do.
//! Does not belong here: what is in a report (`model`), what a chart shows (`figure`).
//!
//! Plotly draws the charts; its script is in the page once. The page's Content-Security-Policy lets exactly its
//! own two scripts run and nothing be fetched. Texts are escaped where they are written, and figures are in
//! blocks of JSON in which no `<` is left.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::Read;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::figure::{Figure, PALETTE, Theme, plain};
use super::intervals::{MARK, MARKED};
use super::model::{Block, Chart, KeyFigure, Report, Section, Table, Tone};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const PLOTLY: &[u8] = include_bytes!("../../../vendor/plotly/plotly-cartesian.min.js.gz");
const PLOTLY_LICENCE: &str = include_str!("../../../vendor/plotly/LICENSE");

/// Height of a chart whose figure has none, in pixels.
const HEIGHT: u64 = 320;
/// A cell of so many characters stays on one line.
const SHORT: usize = 32;
/// A chart that is higher takes the whole width.
const WIDE: u64 = 400;

/// Plotly's script (its bundle of cartesian charts), as pages hold it.
pub fn plotly_script() -> String {
    let mut script = String::new();
    // The file is part of the program: what cannot be unpacked fails each test.
    let _ = GzDecoder::new(PLOTLY).read_to_string(&mut script);
    script
}

/// A report as an HTML page that needs nothing else: it opens from a file and asks nobody for anything.
pub fn html(report: &Report) -> String {
    let plotly = plotly_script();
    let mut page = String::with_capacity(plotly.len() + (1 << 20));
    let title = escaped(&report.title);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        policy(&[&plotly, SCRIPT]),
    );
    head(&mut page, report, &title);
    page.push_str("<main id=\"main\" tabindex=\"-1\">\n");
    for one in &report.sections {
        section(&mut page, one);
    }
    let _ = write!(
        page,
        "</main>\n<footer><p id=\"keys\">Keys of a chart: + and − zoom, ← and → pan, 0 resets.</p>Made by llmeter {}. Charts: Plotly.js, MIT licence.</footer>\n",
        escaped(report.llmeter_version)
    );
    let _ = write!(
        page,
        "<script type=\"application/json\" id=\"themes\">{}</script>\n<!--\nPlotly.js\n\n{PLOTLY_LICENCE}-->\n\
         <script>{plotly}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        in_script(&themes())
    );
    page
}

/// What a page with these scripts may do.
fn policy(scripts: &[&str]) -> String {
    let hashes = scripts.iter().map(|script| {
        let hash = digest(&SHA256, script.as_bytes());
        format!("'sha256-{}'", BASE64_STANDARD.encode(hash.as_ref()))
    });
    let hashes: Vec<_> = hashes.collect();
    // Images are what a chart becomes when it is saved; Plotly sets styles.
    format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; \
         form-action 'none'",
        hashes.join(" ")
    )
}

/// The templates of both themes, and what stands for colours in them.
fn themes() -> Value {
    let themes = Theme::ALL.map(|theme| {
        let colours: Map<String, Value> = theme
            .colours()
            .map(|(light, own)| (light.to_owned(), own.into()))
            .collect();
        (
            theme.name().to_owned(),
            json!({"template": theme.template(), "colours": colours}),
        )
    });
    Value::Object(themes.into_iter().collect())
}

fn head(page: &mut String, report: &Report, title: &str) {
    let _ = write!(
        page,
        "<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<header>\n<h1>{title}</h1>\n"
    );
    for line in &report.about {
        let _ = writeln!(page, "<p class=\"about\">{}</p>", escaped(line));
    }
    page.push_str(
        "<button id=\"theme\" type=\"button\" hidden></button>\n\
         <noscript><p class=\"say note\">Charts need scripts; the tables below each have their numbers.</p></noscript>\n",
    );
    if report.sections.len() > 1 {
        page.push_str("<nav aria-label=\"Sections\"><ul>\n");
        for section in &report.sections {
            let (id, title) = (escaped(&section.id), escaped(&section.title));
            let _ = writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>");
        }
        page.push_str("</ul></nav>\n");
    }
    page.push_str("</header>\n");
}

fn section(page: &mut String, section: &Section) {
    let (id, title) = (escaped(&section.id), escaped(&section.title));
    let _ = write!(
        page,
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n"
    );
    let mut is_in_grid = false;
    for (at, block) in section.blocks.iter().enumerate() {
        let is_chart = matches!(block, Block::Chart(_));
        match (is_in_grid, is_chart) {
            (false, true) => page.push_str("<div class=\"charts\">\n"),
            (true, false) => page.push_str("</div>\n"),
            _ => {}
        }
        is_in_grid = is_chart;
        match block {
            Block::Text { tone, text } => say(page, *tone, text),
            Block::KeyFigures { figures } => key_figures(page, figures),
            Block::Table(one) => table(page, one, one.title == section.title),
            Block::Chart(one) => {
                let next = section.blocks.get(at + 1);
                let is_below = matches!(next, Some(Block::Table(table)) if *table == one.table);
                chart(page, one, is_below);
            }
        }
    }
    page.push_str(if is_in_grid {
        "</div>\n</section>\n"
    } else {
        "</section>\n"
    });
}

fn say(page: &mut String, tone: Tone, text: &str) {
    let class = match tone {
        Tone::Plain => "",
        Tone::Good => " class=\"say good\"",
        Tone::Note => " class=\"say note\"",
        Tone::Warning => " class=\"say warning\"",
        Tone::Bad => " class=\"say bad\"",
    };
    let _ = writeln!(page, "<p{class}>{}</p>", escaped(text));
}

fn key_figures(page: &mut String, figures: &[KeyFigure]) {
    page.push_str("<dl class=\"figures\">\n");
    for one in figures {
        let _ = write!(
            page,
            "<div><dt>{}</dt><dd>{}",
            escaped(&one.label),
            escaped(&one.value)
        );
        if let Some(below) = &one.below {
            let _ = write!(page, "<small>{}</small>", escaped(below));
        }
        page.push_str("</dd></div>\n");
    }
    page.push_str("</dl>\n");
    if figures.iter().any(|one| one.below.is_some()) {
        page.push_str(
            "<p class=\"notes\">Below a figure: its 95 % interval, or the same as a rate.</p>\n",
        );
    }
    if figures.iter().any(|one| one.value.ends_with(MARK)) {
        let _ = writeln!(
            page,
            "<p class=\"notes\">{}</p>",
            escaped(MARKED.trim_end())
        );
    }
}

fn table(page: &mut String, table: &Table, is_titled: bool) {
    page.push_str("<div class=\"scroll\" role=\"region\" tabindex=\"0\"");
    let class = if table.columns.len() == 2 {
        " class=\"pair\""
    } else {
        ""
    };
    let name = if table.title.is_empty() {
        "Numbers"
    } else {
        &table.title
    };
    let _ = write!(page, " aria-label=\"{}\"><table{class}>", escaped(name));
    if !table.title.is_empty() {
        // Its heading says the same.
        let class = match is_titled {
            true => " class=\"unseen\"",
            false if is_long(&table.title) => " class=\"long\"",
            false => "",
        };
        let _ = write!(page, "<caption{class}>{}</caption>", escaped(&table.title));
    }
    let classes: Vec<&str> = (0..table.columns.len())
        .map(|column| match column > 0 && table.is_of_numbers(column) {
            true => " class=\"number\"",
            false => "",
        })
        .collect();
    page.push_str("\n<thead><tr>");
    for (title, class) in table.columns.iter().zip(&classes) {
        let class = match (is_long(title), class.is_empty()) {
            (true, true) => " class=\"long\"",
            (true, false) => " class=\"number long\"",
            (false, _) => class,
        };
        let _ = write!(page, "<th scope=\"col\"{class}>{}</th>", escaped(title));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (column, (cell, class)) in row.iter().zip(&classes).enumerate() {
            let class = match *class {
                "" if is_long(cell) => " class=\"long\"",
                class => class,
            };
            let cell = escaped(cell);
            let _ = match column {
                0 => write!(page, "<th scope=\"row\"{class}>{cell}</th>"),
                _ => write!(page, "<td{class}>{cell}</td>"),
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    if !table.notes.is_empty() {
        let notes: Vec<_> = table.notes.iter().map(|note| escaped(note)).collect();
        let _ = writeln!(page, "<p class=\"notes\">{}</p>", notes.join("<br>"));
    }
}

fn is_long(text: &str) -> bool {
    text.chars().count() > SHORT
}

fn chart(page: &mut String, chart: &Chart, is_table_below: bool) {
    let (id, title, about) = (
        escaped(&chart.id),
        escaped(&chart.title),
        escaped(&chart.about),
    );
    let height = chart.figure.layout()["height"].as_u64().unwrap_or(HEIGHT);
    let class = if height > WIDE { "chart wide" } else { "chart" };
    let _ = write!(
        page,
        "<article class=\"{class}\" id=\"chart-{id}\">\n<div class=\"top\"><h3>{title}</h3>\
         <div class=\"view\" role=\"group\" aria-label=\"{title}: view\">"
    );
    for (action, label, name) in ACTIONS {
        let _ = write!(
            page,
            "<button type=\"button\" data-do=\"{action}\" aria-label=\"{name}\" title=\"{name}\">{label}</button>"
        );
    }
    let _ = write!(page, "</div></div>\n<p>{about}</p>\n");
    let entries = legend(&chart.figure);
    if !entries.is_empty() {
        let _ = write!(
            page,
            "<div class=\"series\" role=\"group\" aria-label=\"{title}: series\">"
        );
        for entry in entries {
            let traces: Vec<String> = entry.traces.iter().map(ToString::to_string).collect();
            let (look, name) = (entry.look, escaped(&entry.name));
            let _ = write!(
                page,
                "<button type=\"button\" aria-pressed=\"true\" data-traces=\"{}\"><span class=\"swatch {look}\"></span>{name}</button>",
                traces.join(",")
            );
        }
        page.push_str("</div>\n");
    }
    let _ = write!(
        page,
        "<div class=\"plot\" id=\"plot-{id}\" role=\"img\" tabindex=\"0\" aria-label=\"Chart: {title}. {about}\" \
         aria-describedby=\"keys\" aria-keyshortcuts=\"+ - ArrowLeft ArrowRight 0\" \
         style=\"height:{height}px\"></div>\n<script type=\"application/json\">{}</script>\n",
        in_script(chart.figure.as_json())
    );
    if !chart.table.rows.is_empty() && !is_table_below {
        let _ = writeln!(page, "<details><summary>Numbers of this chart</summary>");
        table(page, &chart.table, false);
        page.push_str("</details>\n");
    }
    page.push_str("</article>\n");
}

/// What the buttons of a chart do: action of the script, label, name.
const ACTIONS: [(&str, &str, &str); 4] = [
    ("zoom-in", "+", "Zoom in"),
    ("zoom-out", "−", "Zoom out"),
    ("reset", "Reset", "Reset the view"),
    ("save", "PNG", "Save as PNG"),
];

/// A button of a chart's legend.
struct Entry {
    name: String,
    /// Classes of its swatch.
    look: String,
    traces: Vec<usize>,
}

/// The series of a figure: by their groups, or, within one group, by their names. One alone needs no legend. What is
/// alone on an axis beside others is among them, also where the axis says its name already.
fn legend(figure: &Figure) -> Vec<Entry> {
    let text = |trace: &Value, key: &str| trace[key].as_str().map(plain);
    let by = |key: &str| {
        let mut entries: Vec<Entry> = Vec::new();
        for (at, trace) in figure.data().iter().enumerate() {
            let name = text(trace, key)
                .or_else(|| text(trace, "name"))
                .unwrap_or_default();
            let is_named = trace["showlegend"] != json!(false) || is_own_panel(figure, trace);
            match entries.iter_mut().find(|entry| entry.name == name) {
                Some(entry) => entry.traces.push(at),
                None if is_named => entries.push(Entry {
                    look: look(trace, at),
                    traces: vec![at],
                    name,
                }),
                None => {}
            }
        }
        entries
    };
    let mut entries = by("legendgroup");
    if entries.len() < 2 {
        entries = by("name");
    }
    if entries.len() < 2 {
        Vec::new()
    } else {
        entries
    }
}

/// Whether a trace is the only one on its vertical axis, which is one of several.
fn is_own_panel(figure: &Figure, trace: &Value) -> bool {
    let alike = |axis: &str| {
        let traces = figure.data().iter();
        traces.filter(|other| other[axis] == trace[axis]).count()
    };
    // Rows of one figure share the axis below.
    alike("yaxis") == 1 && alike("xaxis") == figure.data().len() && figure.data().len() > 1
}

/// Classes for the look of a trace.
fn look(trace: &Value, place: usize) -> String {
    let is_marks = trace["mode"] == "markers" || trace["type"] == "bar" || trace["type"] == "box";
    let part = if is_marks { "marker" } else { "line" };
    let known = |colour: &str| PALETTE.iter().position(|(light, _)| *light == colour);
    let colour = match trace[part]["color"].as_str() {
        Some(colour) => known(colour),
        None => Some(place % PALETTE.len()),
    };
    let colour = colour.map_or_else(String::new, |place| format!("c{place} "));
    let shape = match (is_marks, trace["line"]["dash"].as_str()) {
        (true, _) => "mark",
        (false, Some("dot")) => "dot",
        (false, Some("dashdot")) => "dashdot",
        (false, Some("dash")) => "dash",
        (false, _) => "",
    };
    colour + shape
}

/// JSON for a block of a page: nothing in it ends the block, or begins a comment.
fn in_script(json: &Value) -> String {
    // These stand in strings only.
    json.to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// A text for a page, within elements and within quoted attributes.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_whole_and_ends_in_no_page() {
        let script = plotly_script();
        assert!(script.contains("plotly.js (cartesian - minified)"));
        for script in [script.as_str(), SCRIPT] {
            let lower = script.to_lowercase();
            assert!(!lower.contains("</script") && !lower.contains("<!--"));
        }
        assert!(!PLOTLY_LICENCE.contains("--"));
    }

    #[test]
    fn colours_of_the_page_are_those_of_figures() {
        for (at, (light, dark)) in PALETTE.iter().enumerate() {
            for colour in [light, dark] {
                assert!(STYLE.contains(&format!("--c{at}: {colour};")), "{colour}");
            }
        }
        for theme in Theme::ALL {
            for colour in [theme.ink(), theme.paper()] {
                assert!(STYLE.contains(colour), "{colour}");
            }
        }
    }

    #[test]
    fn json_stays_in_its_block_and_text_in_its_place() {
        let hostile = json!({"a": "</script><!--<script>", "b": ["&amp;", "\u{2028}'\""]});
        let block = in_script(&hostile);
        assert!(!block.contains('<') && !block.contains('&'), "{block}");
        assert_eq!(serde_json::from_str::<Value>(&block).unwrap(), hostile);
        assert_eq!(escaped("a<b> & \"c'"), "a&lt;b&gt; &amp; &quot;c&#39;");
    }
}
