//! What a probe saw, as text of at most 80 columns.

use std::fmt::Write;

use serde_json::Value;

use crate::base::failure::{Failure, FailureKind};
use crate::base::shown::escaped;
use crate::probe::{ProbeFrame, ProbeReport};
use crate::report::summary::{duration, figure, plural};
use llmeter_wire::{Phase, StampSource};

/// Columns of a line.
const WIDTH: usize = 80;
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
    let mut text = String::new();
    connection(&mut text, report);
    request(&mut text, report);
    response(&mut text, report);
    times(&mut text, report);
    self::frames(&mut text, report, frames);
    result(&mut text, report);
    outcome(&mut text, report);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<NAMES$}{}", cut(value, WIDTH - NAMES - 2));
}

/// A value over as many lines as it needs, at most `max`, broken between words.
fn wrapped(text: &mut String, name: &str, value: &str, max: usize) {
    let width = WIDTH - NAMES - 2;
    let mut lines = Vec::new();
    for given in value.lines() {
        let mut current = String::new();
        for word in given.split_whitespace() {
            let mut word = escaped(word).into_owned();
            let length = current.chars().count();
            if length > 0 && length + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut current));
            }
            // An address may be longer than a line.
            while let Some((end, _)) = word.char_indices().nth(width) {
                let rest = word.split_off(end);
                lines.push(std::mem::replace(&mut word, rest));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(&word);
        }
        lines.push(current);
    }
    shorten(&mut lines, max, width);
    for (number, part) in lines.iter().enumerate() {
        line(text, if number == 0 { name } else { "" }, part);
    }
}

/// A body over whole lines, at most `max`, broken anywhere.
fn block(text: &mut String, value: &str, max: usize) {
    let width = WIDTH - 2;
    let words: Vec<&str> = value.split_whitespace().collect();
    let characters: Vec<char> = escaped(&words.join(" ")).chars().collect();
    let lines = characters.chunks(width).take(max.saturating_add(1));
    let mut lines: Vec<String> = lines.map(String::from_iter).collect();
    shorten(&mut lines, max, width);
    for line in lines {
        let _ = writeln!(text, "  {}", cut(&line, width));
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

fn connection(text: &mut String, report: &ProbeReport) {
    if report.server.is_empty() {
        return;
    }
    let _ = writeln!(text, "Connection");
    line(text, "server", &report.server);
    if let Some(proxy) = &report.proxy {
        line(text, "proxy", proxy);
    }
    let timed = |text: &mut String, name: &str, time: Option<f64>, what: &str| {
        if let Some(time) = time {
            line(text, name, &format!("{:<11} {what}", duration(time)));
        }
    };
    let addresses: Vec<_> = report
        .addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    timed(text, "DNS", report.time_to_resolve, &addresses.join(", "));
    let address = report
        .address
        .map(|address| address.to_string())
        .unwrap_or_default();
    timed(text, "connect", report.time_to_connect, &address);
    match report.failed_phase() {
        Some(Phase::Connect) => line(text, "connect", "failed"),
        Some(Phase::Proxy) => line(text, "connect", "failed at the proxy"),
        Some(Phase::Tls) => {
            let kind = report.error.as_ref().map(Failure::kind);
            let is_http2 = kind == Some(FailureKind::NoHttp2);
            line(text, if is_http2 { "HTTP/2" } else { "TLS" }, "failed");
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
    timed(text, "TLS", report.time_to_tls, &tls.unwrap_or_default());
}

fn headers(text: &mut String, headers: &[(String, String)]) {
    for (name, value) in headers {
        let _ = writeln!(text, "  {}", cut(&format!("{name}: {value}"), WIDTH - 2));
    }
}

fn request(text: &mut String, report: &ProbeReport) {
    let Some(request) = &report.request else {
        return;
    };
    let response = report.response.as_ref();
    let is_sent = response.is_some_and(|response| response.request_time.is_some());
    let _ = writeln!(text, "Request{}", if is_sent { "" } else { " (not sent)" });
    let _ = writeln!(text, "  {}", cut(&request.line, WIDTH - 2));
    headers(text, &request.headers);
    block(text, &request.body, BODY_LINES);
}

fn response(text: &mut String, report: &ProbeReport) {
    if let Some(head) = &report.head {
        let _ = writeln!(text, "Response\n  HTTP status {}", head.status);
        headers(text, &head.headers);
    }
}

fn times(text: &mut String, report: &ProbeReport) {
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
        StampSource::Kernel => "as the kernel received them",
        StampSource::User => "as they were read",
    };
    let _ = writeln!(text, "Times since the request's first byte, {by}");
    for (name, time) in rows {
        if let Some(time) = time {
            line(text, name, &duration(time));
        }
    }
    if let Some(time) = response.time_per_output_token {
        line(text, "per token", &duration(time));
    }
}

fn frames(text: &mut String, report: &ProbeReport, max: usize) {
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
        let _ = writeln!(text, "Body");
        for frame in &report.frames {
            block(text, &frame.data, TEXT_LINES);
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
    let _ = writeln!(text, "Frames ({shown}; * has content)");
    let _ = writeln!(text, "  {:>10}{:>10}", "ms", "gap");
    let mut before = None;
    for (number, frame) in report.frames.iter().enumerate() {
        if number < head || number >= report.frames.len() - tail {
            one_frame(text, frame, before);
        } else if number == head {
            let left_out = report.frames.len() - head - tail;
            let _ = writeln!(text, "  {:>10}", format!("… {left_out} …"));
        }
        before = Some(frame);
    }
}

fn one_frame(text: &mut String, frame: &ProbeFrame, before: Option<&ProbeFrame>) {
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
    let width = WIDTH.saturating_sub(start.chars().count()).max(LEAD);
    let data = telling(&frame.data, before.map(|before| &*before.data), width);
    let _ = writeln!(text, "{}", cut(&format!("{start}{data}"), WIDTH));
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

fn result(text: &mut String, report: &ProbeReport) {
    let Some(response) = &report.response else {
        return;
    };
    let mut lines = String::new();
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
    if !lines.is_empty() {
        let _ = write!(text, "Result\n{lines}");
    }
}

fn outcome(text: &mut String, report: &ProbeReport) {
    let heading = match report.is_success() {
        true => "Succeeded",
        false if report.is_interrupted => "Interrupted",
        false => "Failed",
    };
    let _ = writeln!(text, "{heading}");
    if let Some(error) = &report.error
        && heading == "Failed"
    {
        wrapped(text, "error", error.message(), usize::MAX);
    }
    if let Some(diagnosis) = &report.diagnosis {
        wrapped(text, "most likely", &diagnosis.cause, usize::MAX);
        wrapped(text, "what to do", &diagnosis.remedy, usize::MAX);
    }
    for remark in &report.remarks {
        wrapped(text, "note", remark, usize::MAX);
    }
}
