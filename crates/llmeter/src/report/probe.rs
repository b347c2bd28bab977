//! What a probe saw, as text of at most 80 columns.
//!
//! Lines that are made here fit the page; none is broken again afterwards.

use std::fmt::Write;

use serde_json::Value;

use crate::InvocationResponse;
use crate::base::failure::{Failure, FailureKind};
use crate::base::shown::{SHOWN, escaped, one_line};
use crate::probe::{ProbeFrame, ProbeReport};
use crate::report::summary::{duration, figure, plural};
use crate::report::table::fitted;
use llmeter_wire::{Phase, StampSource};

/// Columns of a line at most, and the least that lines are made to fit.
const MAX_WIDTH: usize = 80;
const MIN_WIDTH: usize = 32;
/// Columns of the names at the left.
const NAMES: usize = 14;
/// Lines of a response's text that are shown, and of the body of a refusal.
const TEXT_LINES: usize = 6;
/// Lines of a request's body that are shown.
const BODY_LINES: usize = 3;
/// Characters of a frame that are shown before it differs from the frame before.
const LEAD: usize = 20;

/// What a probe saw, with at most `frames` frames. Headings begin at the left, everything else is
/// indented.
pub fn probe(report: &ProbeReport, frames: usize) -> String {
    probe_within(report, frames, MAX_WIDTH)
}

/// [`probe`] in at most so many columns, as far as that can be, and never more than 80.
pub fn probe_within(report: &ProbeReport, frames: usize, width: usize) -> String {
    let mut page = Page::new(width.clamp(MIN_WIDTH, MAX_WIDTH));
    connection(&mut page, report);
    request(&mut page, report);
    response(&mut page, report);
    times(&mut page, report);
    self::frames(&mut page, report, frames);
    result(&mut page, report);
    outcome(&mut page, report);
    page.text
}

/// Text of lines with at most so many columns.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn new(width: usize) -> Self {
        let text = String::new();
        Self { text, width }
    }

    /// Columns behind the names at the left.
    fn value_width(&self) -> usize {
        self.width - NAMES - 2
    }
}

impl Write for Page {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.text.write_str(text)
    }
}

fn line(page: &mut Page, name: &str, value: &str) {
    let value = cut(value, page.value_width());
    let _ = writeln!(page, "  {name:<NAMES$}{value}");
}

/// A value over as many lines as it needs, at most `max`, broken between words.
fn wrapped(page: &mut Page, name: &str, value: &str, max: usize) {
    let width = page.value_width();
    let mut lines = Vec::new();
    'text: for given in value.lines() {
        let mut current = String::new();
        for word in given.split_whitespace() {
            // Of a longer word no line takes more.
            let enough = width.saturating_mul(max.saturating_add(2));
            let end = word
                .char_indices()
                .nth(enough)
                .map_or(word.len(), |(end, _)| end);
            let word = escaped(&word[..end]);
            let length = current.chars().count();
            if length > 0 && length + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut current));
            }
            // An address may be longer than a line.
            let mut rest = &*word;
            while let Some((end, _)) = rest.char_indices().nth(width) {
                if lines.len() > max {
                    break;
                }
                lines.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
            if lines.len() > max {
                break 'text;
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(rest);
        }
        lines.push(current);
    }
    shorten(&mut lines, max, width);
    for (number, part) in lines.iter().enumerate() {
        line(page, if number == 0 { name } else { "" }, part);
    }
}

/// A body over whole lines, at most `max`, broken anywhere.
fn block(page: &mut Page, value: &str, max: usize) {
    let width = page.width - 2;
    let words: Vec<&str> = value.split_whitespace().collect();
    let characters: Vec<char> = escaped(&words.join(" ")).chars().collect();
    let lines = characters.chunks(width).take(max.saturating_add(1));
    let mut lines: Vec<String> = lines.map(String::from_iter).collect();
    shorten(&mut lines, max, width);
    for line in lines {
        let _ = writeln!(page, "  {}", cut(&line, width));
    }
}

/// Leaves `max` lines, and marks that there were more.
fn shorten(lines: &mut Vec<String>, max: usize, width: usize) {
    if lines.len() > max {
        lines.truncate(max);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), width);
        }
    }
}

/// A text on one line, shortened to so many characters.
fn cut(text: &str, max: usize) -> String {
    let text = escaped(text);
    let mut short: String = text.chars().take(max).collect();
    if text.chars().nth(max).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

fn connection(page: &mut Page, report: &ProbeReport) {
    if report.server.is_empty() {
        return;
    }
    let _ = writeln!(page, "Connection");
    line(page, "server", &report.server);
    if let Some(proxy) = &report.proxy {
        line(page, "proxy", proxy);
    }
    let timed = |page: &mut Page, name: &str, time: Option<f64>, what: &str| {
        if let Some(time) = time {
            line(page, name, &format!("{:<11} {what}", duration(time)));
        }
    };
    let addresses: Vec<_> = report
        .addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    timed(page, "DNS", report.time_to_resolve, &addresses.join(", "));
    let address = report
        .address
        .map(|address| address.to_string())
        .unwrap_or_default();
    timed(page, "connect", report.time_to_connect, &address);
    match report.failed_phase() {
        Some(Phase::Connect) => line(page, "connect", "failed"),
        Some(Phase::Proxy) => line(page, "connect", "failed at the proxy"),
        Some(Phase::Tls) => {
            let kind = report.error.as_ref().map(Failure::kind);
            let is_http2 = kind == Some(FailureKind::NoHttp2);
            line(page, if is_http2 { "HTTP/2" } else { "TLS" }, "failed");
        }
        _ => {}
    }
    let tls = report.tls.as_ref().map(|tls| {
        let alpn = tls
            .alpn
            .as_ref()
            .map(|name| format!(", {name}"))
            .unwrap_or_default();
        format!("{}, {}{alpn}", tls.version, tls.cipher)
    });
    timed(page, "TLS", report.time_to_tls, &tls.unwrap_or_default());
}

fn headers(page: &mut Page, headers: &[(String, String)]) {
    let width = page.width - 2;
    for (name, value) in headers {
        let _ = writeln!(page, "  {}", cut(&format!("{name}: {value}"), width));
    }
}

fn request(page: &mut Page, report: &ProbeReport) {
    let Some(request) = &report.request else {
        return;
    };
    let response = report.response.as_ref();
    let is_sent = response.is_some_and(|response| response.request_time.is_some());
    let _ = writeln!(page, "Request{}", if is_sent { "" } else { " (not sent)" });
    let width = page.width - 2;
    let _ = writeln!(page, "  {}", cut(&request.line, width));
    headers(page, &request.headers);
    block(page, &request.body, BODY_LINES);
}

fn response(page: &mut Page, report: &ProbeReport) {
    if let Some(head) = &report.head {
        let _ = writeln!(page, "Response\n  HTTP status {}", head.status);
        headers(page, &head.headers);
    }
}

fn times(page: &mut Page, report: &ProbeReport) {
    let Some(response) = &report.response else {
        return;
    };
    let (first, last) = report.frame_times().unzip();
    let is_stream = response.detail.content_frames.is_some();
    let rows = [
        ("headers", response.detail.time_to_headers),
        ("first frame", first.filter(|_| is_stream)),
        ("first token", response.time_to_first_token),
        (
            "first answer",
            response
                .detail
                .time_to_first_answer_token
                .filter(|time| Some(*time) != response.time_to_first_token),
        ),
        (
            "last token",
            response.time_to_last_token.filter(|_| is_stream),
        ),
        ("last frame", last.filter(|_| is_stream)),
        ("response", last.filter(|_| !is_stream)),
    ];
    if rows.iter().all(|(_, time)| time.is_none()) {
        return;
    }
    let by = match report.stamps {
        StampSource::Auto | StampSource::Kernel | StampSource::Packet => {
            "as the kernel received them"
        }
        StampSource::User => "as they were read",
    };
    let title = format!("Times since the request's first byte, {by}\n");
    page.text.push_str(&fitted(&title, page.width));
    for (name, time) in rows {
        if let Some(time) = time {
            line(page, name, &duration(time));
        }
    }
    if let Some(time) = response.time_per_output_token {
        line(page, "per token", &duration(time));
    }
    parts(page, response);
}

/// Where the time went, as far as network and server say.
fn parts(page: &mut Page, response: &InvocationResponse) {
    let path = response.path();
    let stated = [
        ("server", path.server_time),
        ("queue", path.server_queue_time),
        ("prompt", path.server_prompt_time),
        ("generation", path.server_generation_time),
        ("gateway", path.server_gateway_time),
    ];
    let ttft = [
        (
            "network",
            path.network_min_round_trip.or(path.network_round_trip),
        ),
        ("server", path.server_time_to_first_token),
        ("rest", path.time_to_first_token_rest),
    ];
    let mut section = |title: &str, rows: &[(&str, Option<f64>)]| {
        if rows.iter().any(|(_, time)| time.is_some()) {
            page.text.push_str(&fitted(title, page.width));
        }
        for (name, time) in rows {
            if let Some(time) = time {
                // Clocks of two machines and a part that is an estimate: what is left may be below nothing.
                let sign = if *time < 0.0 { "−" } else { "" };
                line(page, name, &format!("{sign}{}", duration(time.abs())));
            }
        }
    };
    section("Times that the server states\n", &stated);
    if path.server_time_to_first_token.is_some() {
        section("Parts of the time to first token\n", &ttft);
    }
    let network = [
        ("round trip", path.network_round_trip),
        ("shortest", path.network_min_round_trip),
        ("lost packets", path.network_hole_wait),
        ("send delay", path.send_delay),
    ];
    section("Network\n", &network);
}

fn frames(page: &mut Page, report: &ProbeReport, max: usize) {
    let total = report.frames.len() as u64 + report.frames_dropped;
    let is_empty = report
        .frames
        .iter()
        .all(|frame| frame.data.trim().is_empty());
    if is_empty || max == 0 {
        return;
    }
    let is_timed = report.frames.iter().any(|frame| frame.time.is_some());
    if !is_timed {
        let _ = writeln!(page, "Body");
        for frame in &report.frames {
            block(page, &frame.data, TEXT_LINES);
        }
        return;
    }
    // The end of a stream says as much as its beginning.
    let (head, tail) = match report.frames.len() > max {
        true => (max - max / 3, max / 3),
        false => (report.frames.len(), 0),
    };
    let shown = match head + tail {
        shown if shown as u64 == total => figure(total as f64),
        shown => format!("{shown} of {}", figure(total as f64)),
    };
    let _ = writeln!(page, "Frames ({shown}; * has content)");
    let _ = writeln!(page, "  {:>10}{:>10}", "ms", "gap");
    let mut before = None;
    for (number, frame) in report.frames.iter().enumerate() {
        if number < head || number >= report.frames.len() - tail {
            one_frame(page, frame, before);
        } else if number == head {
            let left_out = report.frames.len() - head - tail;
            let _ = writeln!(page, "  {:>10}", format!("… {left_out} …"));
        }
        before = Some(frame);
    }
}

fn one_frame(page: &mut Page, frame: &ProbeFrame, before: Option<&ProbeFrame>) {
    let Some(time) = frame.time else { return };
    let gap = before.and_then(|before| before.time);
    let gap = gap.map_or_else(String::new, |before| {
        format!("+{:.2}", (time - before) * 1e3)
    });
    let mark = if frame.has_content { '*' } else { ' ' };
    let event = frame
        .event
        .as_ref()
        .map(|event| format!("{event}: "))
        .unwrap_or_default();
    let start = format!("  {:>10.2}{gap:>10} {mark} {event}", time * 1e3);
    let width = page.width.saturating_sub(start.chars().count()).max(LEAD);
    let data = telling(&frame.data, before.map(|before| &*before.data), width);
    let _ = writeln!(page, "{}", cut(&format!("{start}{data}"), page.width));
}

/// A frame's data, shortened to so many characters. Frames of one stream mostly begin alike: of one
/// that is too long, what it has in common with the frame before is left out.
fn telling(data: &str, before: Option<&str>, width: usize) -> String {
    let alike = before.map_or(0, |before| {
        let pairs = data.chars().zip(before.chars());
        pairs.take_while(|(own, other)| own == other).count()
    });
    let too_many = (data.chars().count() + 1).saturating_sub(width);
    let skipped = alike.saturating_sub(LEAD).min(too_many);
    match skipped {
        // A mark takes as much room as what it stands for.
        0 | 1 => cut(data, width),
        _ => {
            let rest: String = data.chars().skip(skipped).collect();
            format!("…{}", cut(&rest, width - 1))
        }
    }
}

fn result(page: &mut Page, report: &ProbeReport) {
    let Some(response) = &report.response else {
        return;
    };
    let mut lines = Page::new(page.width);
    if let Some(reasoning) = &response.detail.reasoning_text {
        wrapped(&mut lines, "reasoning", reasoning, TEXT_LINES);
    }
    if let Some(words) = &response.response_text {
        wrapped(&mut lines, "text", words, TEXT_LINES);
    }
    if let Some(reason) = &response.detail.finish_reason {
        line(&mut lines, "finished", reason);
    }
    let of_them = |count: Option<u64>, what: &str| {
        count
            .filter(|count| *count > 0)
            .map(|count| format!(" ({} {what})", figure(count as f64)))
            .unwrap_or_default()
    };
    if let Some(input) = response.num_tokens_input {
        let cached = of_them(response.num_tokens_input_cached, "cached");
        let input = figure(input as f64);
        line(&mut lines, "tokens in", &format!("{input}{cached}"));
    }
    if let Some(output) = response.num_tokens_output {
        let reasoning = of_them(response.num_tokens_output_reasoning, "reasoning");
        let frames = response.detail.content_frames.map(|frames| {
            let frames = f64::from(frames);
            format!(" in {} {}", figure(frames), plural(frames, "frame"))
        });
        let (output, frames) = (figure(output as f64), frames.unwrap_or_default());
        line(
            &mut lines,
            "tokens out",
            &format!("{output}{reasoning}{frames}"),
        );
    }
    if let Some(vectors) = response.vectors() {
        let length = response.annotations.get("vector_dimensions");
        let length = length.and_then(Value::as_f64).map(figure);
        let of = length.map(|length| format!(", of {length} dimensions"));
        let vectors = figure(vectors as f64) + &of.unwrap_or_default();
        line(&mut lines, "vectors", &vectors);
    }
    if let Some(id) = report.server_id() {
        line(&mut lines, "id", id);
    }
    if !lines.text.is_empty() {
        let _ = write!(page, "Result\n{}", lines.text);
    }
}

fn outcome(page: &mut Page, report: &ProbeReport) {
    let heading = match report.is_success() {
        true => "Succeeded",
        false if report.is_interrupted => "Interrupted",
        false => "Failed",
    };
    let _ = writeln!(page, "{heading}");
    if let Some(error) = &report.error
        && heading == "Failed"
    {
        // As a run's summary shows it.
        wrapped(page, "error", &one_line(error.message(), SHOWN), usize::MAX);
    }
    if let Some(diagnosis) = &report.diagnosis {
        wrapped(page, "most likely", &diagnosis.cause, usize::MAX);
        wrapped(page, "what to do", &diagnosis.remedy, usize::MAX);
    }
    for remark in &report.remarks {
        wrapped(page, "note", remark, usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work is in the length of what is shown: the square of this length would take hours.
    #[test]
    fn a_long_word_is_broken_at_no_cost() {
        let word = "x".repeat(32 << 20);
        for text in [word.clone(), format!("a b {word}"), "x ".repeat(16 << 20)] {
            let mut page = Page::new(MAX_WIDTH);
            wrapped(&mut page, "text", &text, TEXT_LINES);
            assert_eq!(page.text.lines().count(), TEXT_LINES);
            assert!(
                page.text
                    .lines()
                    .all(|line| line.chars().count() <= MAX_WIDTH)
            );
            assert!(page.text.trim_end().ends_with('…'), "{}", page.text);
        }
        // Where all is shown, all is.
        let mut page = Page::new(MAX_WIDTH);
        wrapped(&mut page, "error", &"x".repeat(1 << 20), usize::MAX);
        let shown = page.text.matches('x').count();
        assert_eq!(shown, 1 << 20);
    }
}
