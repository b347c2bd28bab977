//! Whether an open loop's load was the one that was asked for.

use super::{LATE_SEND_SHARE, RunConditions, TOLERATED_LATENESS};
use crate::base::setting::Setting;
use crate::base::shown::duration;
use crate::result::{MeasurementQuality, Verdict};
use crate::run::offered::LoadFigures;

/// By what share a load may be missed.
const MISSED_SHARE: f64 = 0.01;

impl MeasurementQuality {
    /// Says whether the load was missed, why, and what to do about it.
    pub(super) fn blame_load(&mut self, load: &LoadFigures, conditions: &RunConditions) {
        if let (Some(offered), Some(achieved)) = (load.offered_rate, load.achieved_rate)
            && let Some(missing) = missing(load)
        {
            let (verdict, reason) = self.why(load, conditions);
            self.verdict = self.verdict.max(verdict);
            self.reasons.push(format!(
                "the load was {:.1} % lower than asked for ({achieved:.4} of {offered:.4} requests/s): {reason}",
                missing * 100.0
            ));
        }
        let latency = conditions.median_ttft.or(conditions.median_latency);
        if let (Some(late), Some(latency)) = (load.own_lateness, latency)
            && late > TOLERATED_LATENESS
            && late > latency * LATE_SEND_SHARE
        {
            self.verdict = self.verdict.max(Verdict::Degraded);
            let which = match load.sent >= 100 {
                true => "1 % of the requests were",
                false => "the latest request was",
            };
            self.reasons.push(format!(
                "{which} sent more than {} late by llmeter's own fault; latencies from the actual send are not \
                 affected; use a lower rate or more cores",
                duration(late)
            ));
        }
    }

    /// Says that more workers would have helped a measurement that is not clean: a load that grew in mid-run has those
    /// with which it began, and not those `wanted` that it would have had from the start.
    pub(in crate::run) fn doubt_workers(&mut self, workers: usize, wanted: usize) {
        if workers < wanted && self.verdict != Verdict::Clean {
            self.reasons.push(format!(
                "its clients were made more in mid-run, and their {workers} workers were not; begin it with {} \
                 {wanted}",
                Setting::Workers
            ));
        }
    }

    /// What of the lateness is the largest part.
    fn why(&self, load: &LoadFigures, conditions: &RunConditions) -> (Verdict, String) {
        let failed = load
            .due
            .saturating_sub(load.sent + load.unsent + load.cancelled);
        // That the run was stopped is no fault of anything.
        let too_late = load.unsent.saturating_sub(load.stopped);
        let parts = [
            load.wait,
            load.connection_wait,
            self.recorder_wait,
            self.callback_wait,
            self.data_wait,
        ];
        let largest = parts.iter().copied().fold(0.0, f64::max);
        let requests = |count: u64| match count {
            1 => "1 request".to_owned(),
            count => format!("{count} requests"),
        };
        let has_limit = load.limit.is_some() || load.waited > 0;
        if has_limit && too_late > 0 || load.waited > 0 && load.wait >= largest {
            // A limit that was lifted in mid-run is none now.
            let limit = load.limit.map_or_else(
                || "as many as allowed".to_owned(),
                |limit| limit.to_string(),
            );
            let waited = requests(load.waited);
            let unsent = match too_late {
                0 => String::new(),
                unsent => format!(
                    ", and {} had not been sent when the time was over",
                    requests(unsent)
                ),
            };
            let reason = format!(
                "{waited} waited {} in all because {limit} were in flight{unsent}; the endpoint does not \
                 keep up, or the limit of requests in flight is too low",
                duration(load.wait)
            );
            return (Verdict::Degraded, reason);
        }
        if failed as f64 > load.due as f64 * MISSED_SHARE {
            let requests = requests(failed);
            if load.refused * 2 >= failed {
                let reason = format!(
                    "{requests} were not sent, since callbacks' before_invoke failed; mend that hook"
                );
                return (Verdict::Degraded, reason);
            }
            if self.local_failures * 2 >= failed {
                let reason = format!(
                    "{requests} could not be sent, since this machine has no more of what they need"
                );
                return (Verdict::ClientBound, reason);
            }
            let reason = format!(
                "{requests} failed before they were sent, as the failures above say; the server refused \
                 them, or cannot be reached"
            );
            return (Verdict::Degraded, reason);
        }
        if load.connection_wait >= largest && load.connection_wait > 0.0 {
            let reason = format!(
                "requests waited {} in all for connections to be opened; warm up, or have the server \
                 keep connections alive for longer",
                duration(load.connection_wait)
            );
            return (Verdict::Degraded, reason);
        }
        let reason = if self.recorder_wait >= largest && self.recorder_wait > 0.0 {
            "the recorder was behind; use more cores or faster callbacks".to_owned()
        } else if self.callback_wait >= largest && self.callback_wait > 0.0 {
            "callbacks' before_invoke was behind; make that hook faster".to_owned()
        } else if self.data_wait >= largest && self.data_wait > 0.0 {
            "the data was not made in time; use more cores, shorter prompts or a faster tokenizer"
                .to_owned()
        } else {
            let busiest = self.worker_busy * 100.0;
            let workers = match conditions.workers.len() {
                1 => "the worker was",
                _ => "the busiest worker was",
            };
            format!(
                "{workers} at work for {busiest:.0} % of the time; use a lower rate or more cores"
            )
        };
        (Verdict::ClientBound, reason)
    }
}

/// By what share the load was lower than asked for, if that is more than may be.
fn missing(load: &LoadFigures) -> Option<f64> {
    // What was given up by intention is not missing.
    let wanted = load.due.saturating_sub(load.cancelled + load.stopped);
    let offered = load.offered_rate? * wanted as f64 / load.due.max(1) as f64;
    let missing = 1.0 - load.achieved_rate? / Some(offered).filter(|rate| *rate > 0.0)?;
    // A single late request in a short run is no lower load.
    let late = missing * wanted as f64 / offered;
    let is_late = wanted > load.sent || late > 5.0 * TOLERATED_LATENESS;
    (missing > MISSED_SHARE && is_late).then_some(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::MeasurementQuality;
    use crate::run::quality::RunConditions;
    use crate::run::worker::WorkerReport;

    /// Of a hundred requests that were due, ten were not sent.
    fn missed() -> LoadFigures {
        LoadFigures {
            due: 100,
            sent: 90,
            offered_rate: Some(10.0),
            achieved_rate: Some(9.0),
            ..LoadFigures::default()
        }
    }

    fn late() -> LoadFigures {
        LoadFigures {
            sent: 100,
            ..missed()
        }
    }

    #[test]
    fn a_load_that_grew_is_told_to_have_more_workers() {
        let mut quality = MeasurementQuality::default();
        quality.doubt_workers(1, 8);
        assert_eq!(quality.reasons, [""; 0]);
        quality.verdict = Verdict::Degraded;
        quality.doubt_workers(4, 4);
        assert_eq!(quality.reasons, [""; 0]);
        quality.doubt_workers(4, 8);
        assert!(
            quality.reasons[0].contains("their 4 workers"),
            "{:?}",
            quality.reasons
        );
    }

    #[test]
    fn a_load_that_was_missed_says_why() {
        type Change = fn(&mut MeasurementQuality);
        let with = |load: LoadFigures, change: fn(&mut LoadFigures)| {
            let mut load = load;
            change(&mut load);
            load
        };
        let cases: [(LoadFigures, Change, Verdict, &str); 11] = [
            (
                with(missed(), |load| {
                    (load.limit, load.unsent) = (Some(8), 10);
                    (load.waited, load.wait) = (40, 20.0);
                }),
                |_| {},
                Verdict::Degraded,
                "40 requests waited 20.00 s in all because 8 were in flight, and 10 requests had not been sent",
            ),
            (
                missed(),
                |_| {},
                Verdict::Degraded,
                "10 requests failed before they were sent",
            ),
            (
                missed(),
                |quality| quality.local_failures = 10,
                Verdict::ClientBound,
                "10 requests could not be sent, since this machine has no more",
            ),
            (
                with(late(), |load| load.connection_wait = 3.0),
                |_| {},
                Verdict::Degraded,
                "waited 3.00 s in all for connections to be opened",
            ),
            (
                late(),
                |quality| quality.recorder_wait = 2.0,
                Verdict::ClientBound,
                "the recorder was behind",
            ),
            (
                late(),
                |quality| quality.callback_wait = 2.0,
                Verdict::ClientBound,
                "before_invoke was behind",
            ),
            (
                late(),
                |quality| quality.worker_busy = 0.97,
                Verdict::ClientBound,
                "the worker was at work for 97 % of the time",
            ),
            (
                with(missed(), |load| load.refused = 10),
                |_| {},
                Verdict::Degraded,
                "10 requests were not sent, since callbacks' before_invoke failed",
            ),
            // What was cancelled, or was not sent since the run was stopped, is not missing.
            (
                with(missed(), |load| load.cancelled = 10),
                |_| {},
                Verdict::Clean,
                "",
            ),
            (
                with(missed(), |load| (load.unsent, load.stopped) = (10, 10)),
                |_| {},
                Verdict::Clean,
                "",
            ),
            // A hundredth is no other load.
            (
                with(late(), |load| load.achieved_rate = Some(9.91)),
                |_| {},
                Verdict::Clean,
                "",
            ),
        ];
        for (load, change, verdict, words) in cases {
            let mut quality = MeasurementQuality::default();
            change(&mut quality);
            let conditions = RunConditions {
                workers: vec![WorkerReport::default()],
                ..super::super::tests::quiet()
            };
            quality.blame_load(&load, &conditions);
            assert_eq!(quality.verdict, verdict, "{words}: {:?}", quality.reasons);
            let said = quality.reasons.join("; ");
            assert!(said.contains(words), "{said}");
            assert_eq!(said.is_empty(), verdict == Verdict::Clean, "{said}");
            let share = "10.0 % lower than asked for (9.0000 of 10.0000 requests/s)";
            assert!(verdict == Verdict::Clean || said.contains(share), "{said}");
        }
    }
}
