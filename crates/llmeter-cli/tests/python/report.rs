//! Reports in a real browser: silent, self-contained, with the right data in their charts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{python, run_script};

/// What breaks out of HTML, scripts, attributes, Plotly's own markup, and lines of text.
const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' onclick='alert(3)' \
                       {{7*7}} <b>b</b> <a href=\"http://example.org\">a</a> &amp; 😀 \u{202e}right to left\u{2066} \u{0}end";

/// Where Debian has the browser.
const BROWSER: &str = "/usr/bin/chromium";

fn golden(name: &str) -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    workspace.join("../llmeter/tests/golden").join(name)
}

/// Writes a run that was never made.
fn made_run(folder: &Path, summary: &Value, lines: impl Iterator<Item = Value>) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("summary.json"), summary.to_string()).unwrap();
    let mut text = String::new();
    lines.for_each(|line| writeln!(text, "{line}").unwrap());
    fs::write(folder.join("responses.jsonl"), text).unwrap();
}

fn summary(requests: u64, more: Value) -> Value {
    let mut summary = json!({
        "total_requests": requests, "clients": 4, "n_requests": requests / 4, "total_test_time": 100.0, "model_id": "m",
    });
    let more = more.as_object().cloned().unwrap_or_default();
    summary.as_object_mut().unwrap().extend(more);
    summary
}

/// The request with this number: a TTFT from 100 to 199 ms.
fn request(at: u64) -> Value {
    let (ttft, millis) = ((100 + at * 37 % 100) as f64 / 1e3, at % 60_000);
    json!({
        "id": at.to_string(), "time_to_first_token": ttft, "time_to_last_token": ttft + 0.5,
        "time_per_output_token": 0.05, "num_tokens_input": at % 90, "num_tokens_output": 11, "error": null,
        "request_time": format!("2026-01-02T03:04:{:02}.{:03}Z", millis / 1000, millis % 1000),
    })
}

fn failed(at: u64, error: &str) -> Value {
    let mut line = json!({"id": at.to_string(), "error": error});
    line["request_time"] = request(at)["request_time"].take();
    line
}

struct Pages {
    place: TempDir,
    pages: Vec<String>,
}

impl Pages {
    fn folder(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn add(&mut self, name: &str, folders: &[PathBuf]) {
        let page = self
            .folder(&format!("{name}.html"))
            .to_str()
            .unwrap()
            .to_owned();
        let output = Command::new(env!("CARGO_BIN_EXE_llmeter"))
            .arg("report")
            .args(folders)
            .args(["--output", &page])
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let size = fs::metadata(&page).unwrap().len();
        assert!(size < 6_000_000, "{name}: {size} bytes");
        self.pages.push(page);
    }

    /// What each page holds, by its name.
    fn look(&self, python: &std::ffi::OsStr) -> BTreeMap<String, Value> {
        let said = run_script(python, "report_pages.py", &self.pages);
        let lines = said
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let named = lines.map(|line| {
            let name = line["page"].as_str().unwrap();
            (name.trim_end_matches(".html").to_owned(), line.clone())
        });
        named.collect()
    }
}

/// A trace of a chart, as the browser has it.
fn trace<'a>(page: &'a Value, chart: &str, at: usize) -> &'a Value {
    let trace = &page["charts"][chart]["data"][at];
    assert!(
        trace.is_object(),
        "{chart}: {:?}",
        page["charts"].as_object().unwrap().keys()
    );
    trace
}

fn list(values: &Value) -> Vec<f64> {
    values
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .collect()
}

#[test]
fn reports_open_in_a_browser() {
    let Some(python) = python() else {
        return;
    };
    if !Path::new(BROWSER).exists() {
        assert!(std::env::var_os("CI").is_none(), "there is no {BROWSER}");
        eprintln!("not tested: there is no {BROWSER}");
        return;
    }
    let mut pages = Pages {
        place: tempfile::tempdir().unwrap(),
        pages: Vec::new(),
    };
    let long = format!("{HOSTILE}{}", "x".repeat(1 << 20));
    // The page that is used as well.
    pages.add("streaming", &[golden("llmeter-0.1.0/streaming")]);
    let made: [(&str, Value, Vec<Value>); 5] = [
        ("none", summary(0, json!({})), vec![]),
        ("one", summary(1, json!({})), vec![request(0)]),
        (
            "failures",
            summary(30, json!({})),
            (0..30).map(|at| failed(at, "broken")).collect(),
        ),
        (
            "many",
            summary(100_000, json!({"run_name": "many"})),
            (0..100_000).map(request).collect(),
        ),
        (
            "hostile",
            summary(
                40,
                json!({
                    "run_name": long, "run_description": HOSTILE, "model_id": HOSTILE, "endpoint_name": long,
                    "provider": HOSTILE,
                }),
            ),
            (0..40)
                .map(|at| match at % 4 {
                    0 => failed(at, &format!("{HOSTILE}{}", at % 8)),
                    1 => failed(at, &long),
                    _ => {
                        let mut line = request(at);
                        for key in ["id", "response_text", "input_prompt", "finish_reason"] {
                            line[key] = HOSTILE.into();
                        }
                        line
                    }
                })
                .collect(),
        ),
    ];
    for (name, summary, lines) in made {
        let folder = pages.folder(name);
        made_run(&folder, &summary, lines.into_iter());
        pages.add(name, &[folder]);
    }
    pages.add("low-memory", &[golden("llmeter-0.1.0/low-memory")]);
    let bare = pages.folder("bare");
    fs::create_dir(&bare).unwrap();
    for file in ["summary.json", "stats.json"] {
        let from = golden("llmeter-0.1.0/low-memory").join(file);
        fs::copy(from, bare.join(file)).unwrap();
    }
    pages.add("bare", &[bare]);
    pages.add("python", &[golden("outputs/c_failures/run")]);
    pages.add(
        "load-test",
        &[golden("outputs/d2_load_test_by_runner/ladder")],
    );
    let several = [
        pages.folder("one"),
        golden("llmeter-0.1.0/streaming"),
        golden("outputs/a_count_bound/run"),
    ];
    pages.add("several", &several);

    let seen = pages.look(&python);
    assert_eq!(seen.len(), pages.pages.len());
    for (name, page) in &seen {
        assert_eq!(page["said"], json!([]), "{name}: the console is silent");
        assert_eq!(page["asked"], json!([]), "{name}: nothing is fetched");
        assert_eq!(page["odd"], json!([]), "{name}");
        for (chart, shown) in page["charts"].as_object().unwrap() {
            assert_eq!(
                (&shown["drawn"], &shown["role"]),
                (&json!(true), &json!("img")),
                "{name}: {chart}"
            );
            let label = shown["name"].as_str().unwrap();
            assert!(
                label.contains(shown["heading"].as_str().unwrap()),
                "{name}: {label}"
            );
            let text = page["text"].as_str().unwrap();
            assert!(
                shown["rows"].as_u64() > Some(0) || text.contains("Failures"),
                "{name}: {chart} has no numbers"
            );
            let buttons = shown["buttons"].as_array().unwrap();
            assert!(
                buttons.contains(&json!("Reset the view")),
                "{name}: {buttons:?}"
            );
        }
    }

    let used = &seen["streaming"];
    assert_eq!(used["narrow"], json!([]));
    assert_eq!(
        (&used["theme"], &used["after"]),
        (&json!("dark"), &json!("dark"))
    );
    assert_ne!(used["ground"], "rgb(255, 255, 255)");
    assert_eq!(used["printed"], "rgb(255, 255, 255)");

    let charts = |name: &str| {
        seen[name]["charts"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let text = |name: &str| seen[name]["text"].as_str().unwrap();
    assert_eq!(charts("none"), [""; 0]);
    assert!(text("none").contains("there is nothing to show"));
    assert_eq!(charts("failures"), ["timeline", "failures-by-kind"]);
    assert!(text("failures").contains("Every request failed"));
    assert!(charts("low-memory").contains(&"ttlt-ecdf".to_owned()));
    assert_eq!(charts("bare"), [""; 0]);
    assert!(
        text("bare").contains("The single responses are not there")
            && text("bare").contains("TTLT")
    );
    assert!(text("python").contains("Nothing is known of the error of this measurement"));

    let many = &seen["many"];
    let curve = trace(many, "ttft-ecdf", 0);
    let (x, y) = (list(&curve["x"]), list(&curve["y"]));
    assert_eq!(
        (x[0], *x.last().unwrap(), *y.last().unwrap()),
        (0.1, 0.199, 1.0)
    );
    let half = y.partition_point(|share| *share < 0.5);
    assert!((x[half] - 0.15).abs() < 2e-3, "{}", x[half]);
    let shares: f64 = list(&trace(many, "ttft-histogram", 0)["y"]).iter().sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let kinds = trace(&seen["failures"], "failures-by-kind", 0);
    assert_eq!(
        (&kinds["x"], &kinds["y"]),
        (&json!([30]), &json!(["broken"]))
    );
    let boxes = trace(&seen["load-test"], "time_to_first_token", 0);
    assert_eq!(list(&boxes["x"]).len(), 24);
    assert_eq!(
        list(&trace(&seen["load-test"], "throughput-latency", 0)["x"]).len(),
        3
    );
    assert!(seen["several"]["charts"]["changes-1"].is_object());
    assert_eq!(trace(&seen["several"], "ttft-ecdf", 1)["name"], "streaming");

    // The text is there, shortened, and did nothing.
    let hostile = text("hostile");
    assert!(
        hostile.contains("</script><script>alert(1)</script>"),
        "{hostile}"
    );
    assert!(
        hostile.contains("😀") && hostile.contains("\\u{202e}") && !hostile.contains('\u{202e}')
    );
    assert!(hostile.len() < 60_000, "{}", hostile.len());
    assert!(
        seen["hostile"]["title"]
            .as_str()
            .unwrap()
            .contains("<img src=x")
    );
}
