//! What a probe saw, as text of at most 80 columns.

use std::fmt::Write;

use crate::probe::{ProbeFrame, ProbeReport};
use crate::report::summary::{duration, figure, plural};
use crate::wire::StampSource;

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns of the names at the left.
const NAMES: usize = 14;
/// Lines of an answer's text that are shown.
const TEXT_LINES: usize = 6;

/// What a probe saw, with at most `frames` frames. Headings begin at the left, everything else is
/// indented.
pub fn probe(report: &ProbeReport, frames: usize) -> String {
    let mut text = String::new();
    connection(&mut text, report);
    request(&mut text, report);
    response(&mut text, report);
    times(&mut text, report);
    self::frames(&mut text, report, frames);
    answer(&mut text, report);
    outcome(&mut text, report);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<NAMES$}{}", cut(value, WIDTH - NAMES - 2));
}

/// A value over as many lines as it needs, broken between words.
fn wrapped(text: &mut String, name: &str, value: &str, most: usize) {
    let room = WIDTH - NAMES - 2;
    let mut lines: Vec<String> = Vec::new();
    for given in value.lines() {
        let mut current = String::new();
        for word in given.split_whitespace() {
            let length = current.chars().count();
            if length > 0 && length + 1 + word.chars().count() > room {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    let is_cut = lines.len() > most;
    lines.truncate(most);
    if is_cut && let Some(last) = lines.last_mut() {
        *last = cut(&format!("{last} …"), room);
    }
    for (number, part) in lines.iter().enumerate() {
        line(text, if number == 0 { name } else { "" }, part);
    }
}

/// A text on one line, shortened to so many characters.
fn cut(text: &str, most: usize) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(most).map(shown).collect();
    if text.chars().nth(most).is_some() {
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
    timed(text, "name", report.time_to_resolve, &addresses.join(", "));
    let address = report
        .address
        .map(|address| address.to_string())
        .unwrap_or_default();
    timed(text, "connect", report.time_to_connect, &address);
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
    let is_sent = report
        .answer
        .as_ref()
        .is_some_and(|answer| answer.request_time.is_some());
    let _ = writeln!(text, "Request{}", if is_sent { "" } else { " (not sent)" });
    let _ = writeln!(text, "  {}", cut(&request.line, WIDTH - 2));
    headers(text, &request.headers);
    let _ = writeln!(text, "  {}", cut(&request.body, WIDTH - 2));
}

fn response(text: &mut String, report: &ProbeReport) {
    if let Some(response) = &report.response {
        let _ = writeln!(text, "Response\n  HTTP status {}", response.status);
        headers(text, &response.headers);
    }
}

fn times(text: &mut String, report: &ProbeReport) {
    let Some(answer) = &report.answer else { return };
    let frames = report.frame_times();
    let is_stream = answer.detail.content_frames.is_some();
    let rows = [
        ("headers", answer.detail.time_to_headers),
        (
            "first frame",
            frames.map(|(first, _)| first).filter(|_| is_stream),
        ),
        ("first token", answer.time_to_first_token),
        (
            "first answer",
            answer
                .detail
                .time_to_first_answer_token
                .filter(|time| Some(*time) != answer.time_to_first_token),
        ),
        (
            "last token",
            answer.time_to_last_token.filter(|_| is_stream),
        ),
        (
            "last frame",
            frames.map(|(_, last)| last).filter(|_| is_stream),
        ),
        (
            "answer",
            frames.map(|(_, last)| last).filter(|_| !is_stream),
        ),
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
    if let Some(time) = answer.time_per_output_token {
        line(text, "per token", &duration(time));
    }
}

fn frames(text: &mut String, report: &ProbeReport, most: usize) {
    let total = report.frames.len() as u64 + report.frames_dropped;
    if total == 0 || most == 0 {
        return;
    }
    let is_timed = report.frames.iter().any(|frame| frame.time.is_some());
    if !is_timed {
        let _ = writeln!(text, "Body");
        for frame in &report.frames {
            let _ = writeln!(text, "  {}", cut(&frame.data, WIDTH - 2));
        }
        return;
    }
    // The end of a stream says as much as its beginning.
    let (head, tail) = match report.frames.len() > most {
        true => (most - most / 3, most / 3),
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
        before = frame.time;
    }
}

fn one_frame(text: &mut String, frame: &ProbeFrame, before: Option<f64>) {
    let Some(time) = frame.time else { return };
    let gap = before.map_or_else(String::new, |before| {
        format!("+{:.2}", (time - before) * 1e3)
    });
    let mark = if frame.has_content { '*' } else { ' ' };
    let event = frame
        .event
        .as_ref()
        .map(|event| format!("{event}: "))
        .unwrap_or_default();
    let start = format!("  {:>10.2}{gap:>10} {mark} ", time * 1e3);
    let data = cut(
        &format!("{event}{}", frame.data),
        WIDTH - start.chars().count(),
    );
    let _ = writeln!(text, "{start}{data}");
}

fn answer(text: &mut String, report: &ProbeReport) {
    let Some(answer) = &report.answer else { return };
    if report.response.is_none() && answer.response_text.is_none() {
        return;
    }
    let _ = writeln!(text, "Answer");
    if let Some(reasoning) = &answer.detail.reasoning_text {
        wrapped(text, "reasoning", reasoning, TEXT_LINES);
    }
    if let Some(words) = &answer.response_text {
        wrapped(text, "text", words, TEXT_LINES);
    }
    if let Some(reason) = &answer.detail.finish_reason {
        line(text, "finished", reason);
    }
    let tokens = |count: Option<u64>| count.map(|count| figure(count as f64));
    let of_them = |count: Option<u64>, what: &str| {
        count
            .filter(|count| *count > 0)
            .map(|count| format!(" ({} {what})", figure(count as f64)))
            .unwrap_or_default()
    };
    if let Some(input) = tokens(answer.num_tokens_input) {
        let cached = of_them(answer.num_tokens_input_cached, "cached");
        line(text, "tokens in", &format!("{input}{cached}"));
    }
    if let Some(output) = tokens(answer.num_tokens_output) {
        let reasoning = of_them(answer.num_tokens_output_reasoning, "reasoning");
        let frames = answer.detail.content_frames.map(|frames| {
            let frames = f64::from(frames);
            format!(" in {} {}", figure(frames), plural(frames, "frame"))
        });
        line(
            text,
            "tokens out",
            &format!("{output}{reasoning}{}", frames.unwrap_or_default()),
        );
    }
    if let Some(id) = &answer.id {
        line(text, "id", id);
    }
}

fn outcome(text: &mut String, report: &ProbeReport) {
    match &report.error {
        None if report.is_interrupted => {
            let _ = writeln!(text, "Interrupted");
        }
        None => {
            let _ = writeln!(text, "Succeeded");
        }
        Some(error) => {
            let _ = writeln!(text, "Failed");
            wrapped(text, "error", error, usize::MAX);
        }
    }
    if let Some(diagnosis) = &report.diagnosis {
        wrapped(text, "most likely", &diagnosis.cause, usize::MAX);
        wrapped(text, "what to do", &diagnosis.remedy, usize::MAX);
    }
    for remark in &report.remarks {
        wrapped(text, "note", remark, usize::MAX);
    }
}
