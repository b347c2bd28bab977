use proptest::prelude::*;
use serde_json::json;

use super::drawing::{Anchor, Rect, Shape, Text};
use super::*;
use crate::report::figure;

/// The rectangle around a text, letters that go up and down included.
fn around(text: &Text) -> Rect {
    let width = font::width(&text.text, text.size);
    let start = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -width / 2.0,
        Anchor::End => -width,
    };
    let (sin, cos) = text.turn.to_radians().sin_cos();
    let corners = [
        [start, -0.7 * text.size],
        [start + width, -0.7 * text.size],
        [start, 0.2 * text.size],
        [start + width, 0.2 * text.size],
    ];
    let turned = corners.map(|[x, y]| {
        [
            text.at[0] + x * cos - y * sin,
            text.at[1] + x * sin + y * cos,
        ]
    });
    let least = |axis: usize| {
        turned
            .iter()
            .map(|at| at[axis])
            .fold(f64::INFINITY, f64::min)
    };
    let most = |axis: usize| {
        turned
            .iter()
            .map(|at| at[axis])
            .fold(f64::NEG_INFINITY, f64::max)
    };
    Rect::between([least(0), least(1)], [most(0), most(1)])
}

fn texts(drawing: &Drawing) -> Vec<Text> {
    let shapes = drawing.shapes.iter();
    let texts = shapes.filter_map(|(shape, _)| match shape {
        Shape::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

/// Draws a figure in both ways; no text is over another or beyond the edge.
fn checked(figure: &Value) -> Drawing {
    let drawing = drawn(figure);
    let (width, height) = (drawing.width, drawing.height);
    let texts = texts(&drawing);
    for (number, one) in texts.iter().enumerate() {
        let rect = around(one);
        let page = Rect::between([-0.5; 2], [width + 0.5, height + 0.5]);
        assert!(page.holds(&rect), "{one:?} is beyond the edge");
        // Turned texts stand side by side; the rectangles around them do not.
        let level = |text: &&Text| text.turn % 90.0 == 0.0;
        for other in texts[number + 1..]
            .iter()
            .filter(|_| level(&one))
            .filter(level)
        {
            assert!(!rect.overlaps(&around(other)), "{one:?} is over {other:?}");
        }
    }
    let svg = svg::write(&drawing);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(!svg.contains("<script") && !svg.contains("href"), "{svg}");
    // Small, since there are many.
    let png = png::draw(&drawing, 0.25).unwrap();
    assert_eq!(f64::from(decoded(&png).width()), (width * 0.25).ceil());
    drawing
}

fn decoded(png: &[u8]) -> tiny_skia::Pixmap {
    tiny_skia::Pixmap::decode_png(png).unwrap()
}

fn has_text(drawing: &Drawing, text: &str) -> bool {
    texts(drawing).iter().any(|one| one.text == text)
}

fn golden_charts() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/vectors/load_test_charts.json"
    );
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["cases"].clone()
}

#[test]
fn the_charts_of_a_load_test_are_drawn_with_their_clients_as_ticks() {
    let charts = golden_charts();
    assert_eq!(charts.as_object().unwrap().len(), 6);
    for (name, figure) in charts.as_object().unwrap() {
        let drawing = checked(figure);
        for clients in ["1", "2", "4", "Number of clients"] {
            assert!(has_text(&drawing, clients), "{name}: {clients}");
        }
    }
    let boxes = checked(&charts["time_to_first_token"]);
    let rects = boxes.shapes.iter().filter(|(shape, _)| {
        matches!(shape, Shape::Path { is_closed: true, fill: Some(_), stroke: Some(_), points, .. } if points.len() == 4)
    });
    assert_eq!(rects.count(), 3, "a box for each level");
    let image = decoded(&png::draw(&boxes, 0.5).unwrap());
    assert_eq!((image.width(), image.height()), (440, 250));
    let is_blue = |pixel: &tiny_skia::PremultipliedColorU8| {
        i32::from(pixel.blue()) > i32::from(pixel.red()) + 60
    };
    assert!(image.pixels().iter().filter(|pixel| is_blue(pixel)).count() > 100);
}

/// A figure of every kind of trace, side by side and one above the other.
pub(super) fn all_kinds() -> Value {
    let axis = |domain: [f64; 2], anchor: &str, title: &str| json!({"domain": domain, "anchor": anchor, "title": {"text": title}});
    let gauss = |n: i32| (-f64::from(n - 10).powi(2) / 20.0).exp();
    json!({
        "data": [
            {"type": "bar", "name": "TTFT", "x": (0..20).collect::<Vec<_>>(), "y": (0..20).map(gauss).collect::<Vec<_>>(), "width": vec![1; 20]},
            {"type": "scatter", "mode": "lines+markers+text", "name": "p50", "x": [1, 10, 100], "y": [0.01, 0.02, 0.4],
             "text": ["1", "10", "100"], "textposition": "top center", "xaxis": "x2", "yaxis": "y2",
             "error_y": {"array": [0.005, 0.01, 0.1], "arrayminus": [0.002, 0.005, null], "symmetric": false}},
            {"type": "scatter", "mode": "lines", "name": "share", "fill": "tozeroy", "line": {"shape": "hv", "dash": "dot"},
             "x": [0, 1, 2, 3], "y": [0.1, 0.5, null, 1.0], "xaxis": "x3", "yaxis": "y3"},
            {"type": "box", "name": "a", "x": ["one", "two"], "q1": [1, 2], "median": [2, 3], "q3": [3, 5],
             "lowerfence": [0, 1], "upperfence": [5, 8], "y": [[9, 10], []], "xaxis": "x4", "yaxis": "y4"},
            {"type": "heatmap", "x": ["16", "32", "64"], "y": ["10–20", "20–40"], "z": [[1, 2, null], [3, 4, 5]],
             "texttemplate": "%{z:.3s}s", "colorscale": "Cividis", "colorbar": {"title": {"text": "TTFT (s)"}, "ticksuffix": "s"},
             "xaxis": "x5", "yaxis": "y5"},
            {"type": "bar", "orientation": "h", "name": "connect", "y": ["#1", "#2"], "x": [0.1, 0.2], "xaxis": "x6", "yaxis": "y6"},
            {"type": "bar", "orientation": "h", "name": "tokens", "y": ["#1", "#2"], "x": [0.3, 0.25], "base": [0.1, 0.2], "xaxis": "x6", "yaxis": "y6"},
        ],
        "layout": {
            "title": {"text": "All kinds of <b>traces</b>, with &lt;names&gt;"}, "barmode": "overlay", "bargap": 0.1,
            "xaxis": axis([0.0, 0.46], "y", "bin"), "yaxis": axis([0.72, 1.0], "x", "requests"),
            "xaxis2": {"domain": [0.54, 1.0], "anchor": "y2", "type": "log", "title": {"text": "clients"}},
            "yaxis2": {"domain": [0.72, 1.0], "anchor": "x2", "type": "log", "title": {"text": "time"}, "tickformat": "~s", "ticksuffix": "s"},
            "xaxis3": axis([0.0, 0.46], "y3", "time (s)"),
            "yaxis3": {"domain": [0.36, 0.64], "anchor": "x3", "title": {"text": "share"}, "tickformat": "~%", "range": [0, 1.02]},
            "xaxis4": axis([0.54, 1.0], "y4", "level"), "yaxis4": axis([0.36, 0.64], "x4", "seconds"),
            "xaxis5": axis([0.0, 0.46], "y5", "input tokens"), "yaxis5": axis([0.0, 0.28], "x5", "output tokens"),
            "xaxis6": axis([0.54, 1.0], "y6", "seconds since sent"), "yaxis6": axis([0.0, 0.28], "x6", "request"),
            "shapes": [
                {"type": "rect", "xref": "x3", "yref": "y3 domain", "x0": 1, "x1": 2, "y0": 0, "y1": 1, "fillcolor": "#767676",
                 "opacity": 0.2, "line": {"width": 0}, "layer": "below", "label": {"text": "steady"}},
                {"type": "line", "xref": "x", "yref": "y domain", "x0": 10, "x1": 10, "y0": 0, "y1": 1, "line": {"dash": "dash", "width": 1}},
            ],
            "annotations": [
                {"xref": "x", "yref": "y domain", "x": 10, "y": 1, "text": "p50", "showarrow": false, "xanchor": "left"},
                {"xref": "x", "yref": "y domain", "x": 10.2, "y": 1, "text": "p90", "showarrow": false, "xanchor": "left"},
                {"xref": "paper", "yref": "paper", "x": 0.23, "y": 1.0, "text": "Histogram", "showarrow": false},
            ],
        },
    })
}

#[test]
fn all_kinds_of_traces_are_drawn_and_no_text_is_over_another() {
    let drawing = checked(&all_kinds());
    for text in [
        "All kinds of traces, with <names>",
        "Histogram",
        "steady",
        "p50",
        "p90",
        "10–20",
        "50 %",
        "100ms",
        "TTFT (s)",
        "3s",
    ] {
        assert!(has_text(&drawing, text), "{text}");
    }
}

#[test]
fn series_are_told_apart_and_too_many_are_counted() {
    let trace = |series: usize| {
        let name = format!("a-model/with-a-very-long-name-{series}/{}", "x".repeat(200));
        json!({"type": "scatter", "name": name, "x": [1, 2, 3], "y": [series, series + 1, series]})
    };
    let data: Vec<Value> = (0..40).map(trace).collect();
    let drawing =
        checked(&json!({"data": data, "layout": {"title": "t ".repeat(500), "height": 900}}));
    assert!(has_text(&drawing, "and 16 more"));
    assert!(texts(&drawing).iter().any(|text| text.text.ends_with('…')));
}

#[test]
fn many_names_along_an_axis_are_turned_and_cut() {
    let names: Vec<String> = (0..60)
        .map(|n| format!("a name of some length, {n}"))
        .collect();
    let values: Vec<usize> = (0..60).collect();
    let figure = json!({
        "data": [{"type": "bar", "x": names, "y": values}, {"type": "bar", "y": names, "x": values, "orientation": "h", "xaxis": "x2", "yaxis": "y2"}],
        "layout": {"xaxis": {"domain": [0, 0.45]}, "xaxis2": {"domain": [0.55, 1], "anchor": "y2"}, "yaxis2": {"anchor": "x2"}},
    });
    let drawing = checked(&figure);
    assert!(
        texts(&drawing)
            .iter()
            .any(|text| text.turn < 0.0 && text.turn > -90.0)
    );
}

#[test]
fn odd_figures_are_drawn_all_the_same() {
    let hostile = "</title></svg><script>alert(1)</script>\u{202e}\u{0}]]>&#x3c;<img src=x>";
    for figure in [
        json!(null),
        json!({}),
        json!({"data": [], "layout": {"title": hostile}}),
        json!({"data": [{"type": "pie", "values": [1]}, {"type": "scatter"}, 7]}),
        json!({"data": [{"type": "scatter", "name": hostile, "x": [hostile, 1], "y": [1e300, -1e300], "text": hostile, "mode": "markers+text"},
            {"type": "box", "name": hostile, "y": [1]}, {"type": "heatmap", "z": [[1], [1, 2], null], "colorbar": {"title": hostile}}]}),
        json!({"data": [{"type": "scatter", "x": [0, -1, 1e-320], "y": [5, 5, 5]}], "layout": {"xaxis": {"type": "log"}}}),
        json!({"data": [{"type": "scatter", "x": [1], "y": [0]}], "layout": {"yaxis": {"type": "log", "range": [-1e9, 1e9]}}}),
        json!({"data": [{"type": "bar", "x": [1, 2], "y": [0, 0]}], "layout": {"yaxis": {"range": [3, 3]}, "width": -5, "height": 1e9}}),
        json!({"data": [{"type": "scatter", "x": [1, 2], "y": [1, 2], "name": "x".repeat(1 << 20)}], "layout": {"showlegend": true}}),
    ] {
        let drawing = checked(&figure);
        if drawing
            .shapes
            .iter()
            .all(|(shape, _)| !matches!(shape, Shape::Circle { .. }))
        {
            assert!(drawing.width >= MIN_SIDE);
        }
    }
    assert!(has_text(&checked(&json!({})), "no data"));
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any::<i16>().prop_map(Value::from),
        3 => (-1e6..1e6_f64).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => "[a-c<&é]{0,4}".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([1, "a"])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_in_a_figure_stops_its_drawing(
        kinds in prop::collection::vec(prop::sample::select(vec!["scatter", "bar", "box", "heatmap"]), 0..4),
        x in prop::collection::vec(value(), 0..6),
        y in prop::collection::vec(value(), 0..6),
        axis in prop::sample::select(vec!["linear", "log", "category", "-"]),
        range in prop::option::of([any::<f64>(), any::<f64>()]),
        extra in value(),
    ) {
        let trace = |kind: &&str| json!({
            "type": kind, "x": x, "y": y, "z": [x, y], "q1": y, "median": y, "q3": x, "width": extra, "base": extra,
            "fill": "tozeroy", "mode": "lines+markers+text", "text": x, "error_y": {"array": x},
            "marker": {"size": extra, "color": x},
        });
        let data: Vec<Value> = kinds.iter().map(trace).collect();
        let figure = json!({
            "data": data,
            "layout": {"xaxis": {"type": axis, "range": range, "tickvals": extra}, "yaxis": {"type": axis},
                "shapes": [{"type": "rect", "x0": extra, "x1": extra, "y0": 0, "y1": 1, "label": {"text": "s"}}],
                "annotations": [{"x": extra, "y": extra, "text": "n"}]},
        });
        let svg = svg::write(&drawn(&figure));
        prop_assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    }
}

#[test]
fn texts_in_cells_stand_out_from_every_shade() {
    let scale = colour::ColourScale::of(&json!("Cividis"), false);
    for share in 0..=100 {
        let ground = scale.at(f64::from(share) / 100.0);
        let light = f64::from(share) / 100.0 >= figure::LIGHT_FROM;
        let on_page = if light { colour::BLACK } else { colour::WHITE };
        for text in [marks::on(ground), on_page] {
            let (one, other) = (text.luminance(), ground.luminance());
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= 4.5, "{share} %: {contrast}");
        }
    }
}
