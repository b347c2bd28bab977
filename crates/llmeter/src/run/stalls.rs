//! Streams that stall: gaps that readers notice.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::endpoint::InvocationResponse;

/// What the precision of a kept gap makes of a frame that is just in time, in seconds.
const ROUNDING: f64 = 1e-6;

/// Counts stalls of successful streams.
#[derive(Debug)]
pub(crate) struct StallTally {
    /// A longer gap is a stall, in seconds.
    threshold: f64,
    /// How many tokens a reader reads in a second.
    reading_speed: Option<f64>,
    /// Streams with a gap at all, and those with a stall.
    streams: u64,
    stalled: u64,
    /// Content frames after the first, and those that came when the reader was done with all before.
    frames: u64,
    late_frames: u64,
    /// Streams whose gaps are all known, and those with a late frame.
    read: u64,
    late: u64,
}

impl StallTally {
    pub(crate) fn new(threshold: Duration, reading_speed: Option<f64>) -> Self {
        Self {
            threshold: threshold.as_secs_f64(),
            reading_speed,
            streams: 0,
            stalled: 0,
            frames: 0,
            late_frames: 0,
            read: 0,
            late: 0,
        }
    }

    pub(crate) fn record(&mut self, response: &InvocationResponse) {
        let detail = &response.detail;
        let (None, Some(longest)) = (&response.error, detail.longest_gap) else {
            return;
        };
        self.streams += 1;
        self.stalled += u64::from(longest > self.threshold);
        // Of a sample of gaps nobody knows when the reader is where.
        if let (Some(speed), 0) = (self.reading_speed, detail.inter_token_latencies_dropped) {
            let frames = detail.content_frames.unwrap_or(1).max(1);
            let tokens = response.num_tokens_output.unwrap_or_else(|| frames.into());
            let reading = tokens as f64 / f64::from(frames) / speed;
            let late = late_frames(&detail.inter_token_latencies, reading);
            self.read += 1;
            self.frames += detail.inter_token_latencies.len() as u64;
            self.late_frames += late;
            self.late += u64::from(late > 0);
        }
    }

    /// The statistics; none without streams.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let mut stats = Map::new();
        let mut add = |key: &str, value: Value| stats.insert(key.to_owned(), value);
        if self.streams > 0 {
            add("stall_threshold", json!(self.threshold));
            add("stalled_responses", json!(self.stalled));
            let rate = share(self.stalled, self.streams);
            add("stalled_responses_rate", json!(rate));
        }
        if let (Some(speed), 1..) = (self.reading_speed, self.read) {
            add("reading_speed", json!(speed));
            let late = share(self.late_frames, self.frames);
            add("late_frames_rate", json!(late));
            add("late_responses_rate", json!(share(self.late, self.read)));
        }
        stats
    }
}

/// How many frames come after a reader who takes `reading` seconds for each is done with all before. A
/// reader who had to wait goes on from the frame that was waited for.
fn late_frames(gaps: &[f32], reading: f64) -> u64 {
    let (mut late, mut ahead) = (0, 0.0_f64);
    for &gap in gaps {
        // How long before it is needed the frame comes.
        ahead += reading - f64::from(gap);
        if ahead < -ROUNDING {
            late += 1;
            ahead = 0.0;
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::ResponseDetail;

    fn stream(gaps: &[f32]) -> InvocationResponse {
        let longest = gaps.iter().copied().fold(0.0, f32::max);
        InvocationResponse {
            num_tokens_output: Some(gaps.len() as u64 + 1),
            detail: ResponseDetail {
                longest_gap: Some(longest.into()),
                content_frames: Some(gaps.len() as u32 + 1),
                inter_token_latencies: gaps.to_vec(),
                ..ResponseDetail::default()
            },
            ..InvocationResponse::default()
        }
    }

    #[test]
    fn a_reader_is_ahead_behind_and_waits() {
        // What comes early is kept for later.
        assert_eq!(late_frames(&[0.05, 0.05, 0.19], 0.1), 0);
        assert_eq!(late_frames(&[0.05, 0.05, 0.21, 0.1], 0.1), 1);
        assert_eq!(late_frames(&[0.5, 0.11, 0.09], 0.1), 2);
    }

    #[test]
    fn shares_are_of_streams_and_of_frames() {
        let mut tally = StallTally::new(Duration::from_secs(1), Some(10.0));
        tally.record(&stream(&[0.01, 0.02]));
        tally.record(&stream(&[0.01, 1.5]));
        tally.record(&InvocationResponse::default());
        let stats = Value::from(tally.stats());
        let expected = json!({
            "stall_threshold": 1.0, "stalled_responses": 1, "stalled_responses_rate": 0.5,
            "reading_speed": 10.0, "late_frames_rate": 0.25, "late_responses_rate": 0.5,
        });
        assert_eq!(stats, expected);
        let none = StallTally::new(Duration::from_secs(1), None);
        assert!(none.stats().is_empty());
    }
}
