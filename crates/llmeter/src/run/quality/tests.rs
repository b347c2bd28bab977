use super::*;
use llmeter_wire::clock::Stamp;

/// Nanoseconds that are too many, and few enough.
const LATE: u32 = TOLERATED_ERROR_NS + 1;
const SOON: u32 = 20_000;

/// A response whose content frames came with these reads, each of which has a stamp of its own.
fn answer(is_kernel: bool, frames: &[(usize, u32)]) -> ResponseQuality {
    let mut quality = ResponseQuality::default();
    let mut last = None;
    for &(read, delay_ns) in frames {
        let arrival = Arrival {
            at: Stamp(read as i64),
            delay_ns,
            blur_ns: delay_ns,
            is_kernel,
            ..Arrival::default()
        };
        if last.replace(read) != Some(read) {
            quality.read(arrival);
        }
        quality.content_frame(arrival);
    }
    quality
}

pub(super) fn quiet() -> RunConditions {
    RunConditions {
        workers: vec![WorkerReport::default()],
        connections: 1,
        backlog_bytes: 0,
        recorder_wait: 0.0,
        callback_wait: 0.0,
        data_wait: 0.0,
        host: Some(host(0.0)),
        could_stamp: true,
        own_clock: None,
        clients: 4,
        median_ttft: None,
        median_latency: Some(1.0),
        client_seconds: 100.0,
        wants_packets: false,
        packets_dropped: None,
        load: None,
    }
}

fn host(steal: f64) -> HostShares {
    HostShares {
        busy: 0.5,
        steal,
        certain_steal: steal,
    }
}

fn judge(answers: &[(usize, ResponseQuality)], conditions: &RunConditions) -> MeasurementQuality {
    let mut meter = QualityMeter::new();
    for (count, answer) in answers {
        for _ in 0..*count {
            meter.record(answer, false);
        }
    }
    meter.judge(conditions)
}

#[track_caller]
fn assert_verdict(quality: &MeasurementQuality, verdict: Verdict, words: &str) {
    assert_eq!(quality.verdict, verdict, "{:?}", quality.reasons);
    match verdict {
        Verdict::Clean => assert!(quality.reasons.is_empty(), "{:?}", quality.reasons),
        _ => assert!(
            quality.reasons.len() == 1 && quality.reasons[0].contains(words),
            "{:?}",
            quality.reasons
        ),
    }
}

fn good(is_kernel: bool) -> ResponseQuality {
    answer(is_kernel, &[(0, SOON), (1, SOON), (2, SOON)])
}

#[test]
fn verdicts_are_in_order() {
    assert!(Verdict::Clean < Verdict::Degraded && Verdict::Degraded < Verdict::ClientBound);
    assert_eq!(Verdict::ClientBound.to_string(), "client-bound");
}

#[test]
fn nothing_measured_is_no_error() {
    let quality = judge(&[], &quiet());
    assert_verdict(&quality, Verdict::Clean, "");
    assert_eq!(quality.receive_delay, None);
    assert_eq!(quality.send_lateness, None);
    assert_eq!(quality.uncertain_requests_rate, 0.0);
}

#[test]
fn a_quiet_run_is_clean_with_either_stamps() {
    for is_kernel in [true, false] {
        let quality = judge(&[(100, good(is_kernel))], &quiet());
        assert_verdict(&quality, Verdict::Clean, "");
        assert_eq!(quality.stamps == StampSource::Kernel, is_kernel);
        assert_eq!(quality.kernel_stamped_rate, f64::from(u8::from(is_kernel)));
        let delay = quality.receive_delay.unwrap();
        assert!((delay.p99 - 2e-5).abs() < 1e-7 && delay.max >= delay.p50);
    }
}

#[test]
fn a_late_read_of_one_frame_does_not_spoil_a_kernel_stamp() {
    let late = answer(true, &[(0, LATE), (1, LATE)]);
    assert_verdict(&judge(&[(100, late)], &quiet()), Verdict::Clean, "");
    // Frames that share a read because they came together are not late.
    let together = answer(true, &[(0, SOON), (0, SOON), (0, SOON)]);
    assert_verdict(&judge(&[(100, together)], &quiet()), Verdict::Clean, "");
}

#[test]
fn a_late_read_of_two_frames_spoils_the_first_ones_stamp() {
    // Few gaps among many, so that only the times to the first token count.
    let mut frames = vec![(0, LATE), (0, LATE)];
    frames.extend((1..99).map(|read| (read, SOON)));
    let late = answer(true, &frames);
    for (count, verdict) in [
        (1, Verdict::Clean),
        (2, Verdict::Degraded),
        (50, Verdict::Degraded),
        (51, Verdict::ClientBound),
    ] {
        let quality = judge(
            &[(100 - count, good(true)), (count, late.clone())],
            &quiet(),
        );
        assert_verdict(&quality, verdict, "time to first or last token");
        assert_eq!(quality.uncertain_requests_rate, count as f64 / 100.0);
    }
}

#[test]
fn without_kernel_stamps_any_late_read_is_an_error() {
    let mut frames: Vec<_> = (0..99).map(|read| (read, SOON)).collect();
    frames.push((99, LATE));
    let late_at_the_end = answer(false, &frames);
    let quality = judge(&[(98, good(false)), (2, late_at_the_end.clone())], &quiet());
    assert_verdict(&quality, Verdict::Degraded, "time to first or last token");
    // What is known counts twice, for what cannot be seen.
    for (count, verdict) in [
        (5, Verdict::Clean),
        (6, Verdict::Degraded),
        (250, Verdict::Degraded),
        (251, Verdict::ClientBound),
    ] {
        let answers = [
            (1000 - count, good(false)),
            (count, late_at_the_end.clone()),
        ];
        assert_eq!(
            judge(&answers, &quiet()).verdict,
            verdict,
            "{count} of 1000"
        );
    }
}

#[test]
fn failed_requests_have_no_times_to_be_wrong() {
    let mut failed = answer(false, &[(0, LATE)]);
    failed.is_failed = true;
    let quality = judge(&[(100, good(false)), (5, failed)], &quiet());
    assert_verdict(&quality, Verdict::Clean, "");
    assert_eq!(quality.uncertain_requests_rate, 0.0);
}

#[test]
fn late_gaps_degrade() {
    let frames = [(0, SOON), (1, LATE), (1, LATE), (2, SOON)];
    let quality = judge(&[(100, answer(true, &frames))], &quiet());
    assert_eq!(quality.uncertain_gaps_rate, 0.25);
    assert_verdict(&quality, Verdict::Degraded, "ITL");
}

/// As HTTP/2's reader does, whose buffer may be smaller than what the kernel merged.
#[test]
fn merged_bytes_that_are_read_in_parts_share_a_stamp() {
    let mut quality = ResponseQuality::default();
    let arrival = |at| Arrival {
        at: Stamp(at),
        delay_ns: LATE,
        blur_ns: LATE,
        is_kernel: true,
        ..Arrival::default()
    };
    for read in 0..2 {
        quality.read(Arrival {
            delay_ns: LATE + read,
            ..arrival(7)
        });
        quality.content_frame(arrival(7));
    }
    assert_eq!(quality.uncertain_frames, 1, "the first frame looks late");
    assert!(quality.is_uncertain());
    quality.content_frame(arrival(8));
    assert_eq!(quality.uncertain_frames, 1);
}

/// A response whose end has this stamp after the content's `1`.
fn ended(at: i64, blur_ns: u32) -> ResponseQuality {
    let arrival = |at, blur_ns| Arrival {
        at: Stamp(at),
        delay_ns: SOON,
        blur_ns,
        is_kernel: true,
        ..Arrival::default()
    };
    let mut quality = ResponseQuality {
        times: [Some(0.1), Some(0.1)],
        ..ResponseQuality::default()
    };
    for stamp in [arrival(0, SOON), arrival(1, blur_ns)] {
        quality.read(stamp);
        quality.content_frame(stamp);
    }
    quality.other_frame(arrival(at, blur_ns));
    quality.other_frame(arrival(at + 10 * i64::from(LATE), blur_ns));
    quality
}

#[test]
fn an_end_that_is_merged_with_the_last_token_counts_as_late_as_ends_of_its_server_are() {
    let (merged, prompt, late) = (
        ended(1, LATE),
        ended(2, SOON),
        ended(2 + i64::from(LATE), SOON),
    );
    let prompt_server = judge(&[(50, merged.clone()), (50, prompt.clone())], &quiet());
    assert_verdict(&prompt_server, Verdict::Clean, "");
    let slow_server = judge(&[(50, merged.clone()), (25, prompt), (25, late)], &quiet());
    assert!((slow_server.uncertain_requests_rate - 0.25).abs() < 1e-9);
    assert_verdict(&slow_server, Verdict::Degraded, "");
    let unknown = judge(&[(100, merged)], &quiet());
    assert!((unknown.uncertain_requests_rate - 1.0).abs() < 1e-9);
    // Content after it says that it was no end.
    let mut continued = ended(1, LATE);
    continued.content_frame(Arrival {
        at: Stamp(9),
        is_kernel: true,
        ..Arrival::default()
    });
    let continued = judge(&[(100, continued)], &quiet());
    assert!(continued.uncertain_requests_rate < 1e-9);
}

#[test]
fn late_sending_is_weighed_against_the_latency() {
    let mut late = good(true);
    late.send_lateness = Some(0.06);
    let quality = judge(&[(100, late.clone())], &quiet());
    assert_verdict(&quality, Verdict::Degraded, "late");
    assert!((quality.send_lateness.unwrap().p50 - 0.06).abs() < 1e-4);
    let long = RunConditions {
        median_latency: Some(2.0),
        ..quiet()
    };
    assert_verdict(&judge(&[(100, late)], &long), Verdict::Clean, "");
}

#[test]
fn conditions_that_spoil_a_run() {
    let worker = |change: fn(&mut WorkerReport)| {
        let mut worker = WorkerReport::default();
        change(&mut worker);
        RunConditions {
            workers: vec![WorkerReport::default(), worker],
            ..quiet()
        }
    };
    let waits = worker(|worker| {
        worker.wait_share = 0.03;
        worker.mean_wait = 0.002;
    });
    let quality = judge(&[(100, good(false))], &waits);
    assert_verdict(
        &quality,
        Verdict::Degraded,
        "waited 3.0 % of its time for a core, 2.00 ms each time on average",
    );
    assert_eq!(quality.worker_wait, 0.03);
    assert_verdict(&judge(&[(100, good(true))], &waits), Verdict::Clean, "");

    let steps = worker(|worker| worker.clock_steps = 1);
    let quality = judge(&[(100, good(true))], &steps);
    assert_verdict(&quality, Verdict::Degraded, "realtime clock");
    assert_verdict(&judge(&[(100, good(false))], &steps), Verdict::Clean, "");

    let slow = RunConditions {
        recorder_wait: 1.1,
        ..quiet()
    };
    let quality = judge(&[(100, good(true))], &slow);
    assert_verdict(&quality, Verdict::ClientBound, "recorder");

    // Packets have their times whatever waits; half of the load is another one.
    let mut packets = good(true);
    packets.packet_reads = packets.delays_ns.len() as u32;
    let quality = judge(&[(100, packets.clone())], &slow);
    assert_verdict(&quality, Verdict::Degraded, "latencies are not affected");
    let slower = RunConditions {
        recorder_wait: 60.0,
        ..quiet()
    };
    let quality = judge(&[(100, packets)], &slower);
    assert_verdict(&quality, Verdict::ClientBound, "recorder");

    // Nothing is missing where packets were not asked for and cannot be seen.
    let unseen = |wants_packets| RunConditions {
        packets_dropped: Some(0),
        wants_packets,
        ..quiet()
    };
    let quality = judge(&[(100, good(true))], &unseen(true));
    assert_verdict(&quality, Verdict::Degraded, "not captured");
    assert_verdict(
        &judge(&[(100, good(true))], &unseen(false)),
        Verdict::Clean,
        "",
    );

    let stolen = RunConditions {
        host: Some(host(0.06)),
        ..quiet()
    };
    let quality = judge(&[(100, good(true))], &stolen);
    assert_verdict(&quality, Verdict::Degraded, "hypervisor");

    let all = RunConditions {
        recorder_wait: 1.1,
        ..stolen
    };
    let quality = judge(&[(100, good(true))], &all);
    assert_eq!(
        (quality.verdict, quality.reasons.len()),
        (Verdict::ClientBound, 2)
    );
}

#[test]
fn the_record_as_statistics() {
    let mut one = good(true);
    one.send_lateness = Some(0.001);
    let stats = judge(&[(10, one)], &quiet()).stats();
    assert!(stats.keys().all(|key| key.starts_with("measurement_")));
    assert_eq!(stats["measurement_verdict"], "clean");
    assert_eq!(stats["measurement_stamps"], "kernel");
    for key in [
        "measurement_receive_delay-p50",
        "measurement_receive_delay-p99",
        "measurement_receive_delay-max",
        "measurement_send_lateness-p99",
        "measurement_worker_busy",
        "measurement_host_steal",
        "measurement_connections",
    ] {
        assert!(stats[key].is_number(), "{key}");
    }
}

#[test]
fn an_error_that_does_not_show_in_a_figure_is_no_reason() {
    // 1.1 ms of a time to the last token of a second do not show; of one of 100 ms they do.
    let late = |time| ResponseQuality {
        times: [Some(time), Some(time)],
        ..answer(false, &[(0, SOON), (1, LATE)])
    };
    let quality = judge(&[(100, late(1.0))], &quiet());
    assert_eq!(quality.uncertain_requests_rate, 1.0);
    assert!(
        !quality
            .reasons
            .iter()
            .any(|reason| reason.contains("first or last")),
        "{:?}",
        quality.reasons
    );
    let quality = judge(&[(100, late(0.1))], &quiet());
    assert!(
        quality.reasons[0].contains("first or last"),
        "{:?}",
        quality.reasons
    );
}

#[test]
fn waits_for_a_core_are_judged_by_how_late_they_make_a_stamp() {
    let judged = |wait_share, mean_wait, median_ttft| {
        let worker = WorkerReport {
            wait_share,
            mean_wait,
            ..WorkerReport::default()
        };
        let conditions = RunConditions {
            workers: vec![worker, WorkerReport::default()],
            median_ttft,
            ..quiet()
        };
        judge(&[(100, good(false))], &conditions).verdict
    };
    // One stamp in a hundred is late by 0.23 ms, in whatever share of the time: no figure shows it.
    assert_eq!(judged(0.029, 50e-6, Some(0.01)), Verdict::Clean);
    assert_eq!(judged(0.2, 50e-6, Some(0.01)), Verdict::Clean);
    // By 2.3 ms: of a TTFT of 10 ms that shows, of one of a second it does not.
    assert_eq!(judged(0.029, 500e-6, Some(0.01)), Verdict::Degraded);
    assert_eq!(judged(0.029, 500e-6, Some(1.0)), Verdict::Clean);
    // Without a TTFT the latency of a second counts.
    assert_eq!(judged(0.029, 500e-6, None), Verdict::Clean);
    assert_eq!(judged(0.029, 2e-3, None), Verdict::Degraded);
    // Long waits that are rare.
    assert_eq!(judged(0.009, 2e-3, None), Verdict::Clean);
}

#[test]
fn without_a_success_no_figure_can_be_wrong() {
    let failed = ResponseQuality {
        is_failed: true,
        send_lateness: Some(0.5),
        stale_connection_wait: Some(5.0),
        ..answer(false, &[(0, LATE), (1, LATE)])
    };
    let conditions = RunConditions {
        workers: vec![WorkerReport {
            wait_share: 0.5,
            mean_wait: 0.1,
            clock_steps: 1,
            ..WorkerReport::default()
        }],
        recorder_wait: 50.0,
        callback_wait: 50.0,
        host: Some(host(0.5)),
        ..quiet()
    };
    let quality = judge(&[(10, failed.clone())], &conditions);
    assert_verdict(&quality, Verdict::Clean, "");
    let lacking = ResponseQuality {
        lacking: Some(LocalResource::Ports),
        ..failed
    };
    let quality = judge(&[(10, lacking)], &conditions);
    assert_verdict(&quality, Verdict::ClientBound, "ip_local_port_range");
}

#[test]
fn lateness_that_no_load_shows_is_no_reason() {
    let late = |seconds, clients| {
        let mut late = good(true);
        late.send_lateness = Some(seconds);
        let conditions = RunConditions {
            clients,
            median_latency: Some(0.001),
            ..quiet()
        };
        judge(&[(100, late)], &conditions)
    };
    // 11.5 % of the latency, but 115 µs.
    assert_verdict(&late(115e-6, 4), Verdict::Clean, "");
    let quality = late(0.0025, 4);
    assert_verdict(&quality, Verdict::Degraded, "was sent 2.50 ms late");
    assert!(quality.reasons[0].ends_with("; use fewer clients or more cores"));
}

#[test]
fn one_client_is_never_told_to_be_fewer() {
    let mut late = answer(false, &[(0, LATE), (1, LATE)]);
    late.send_lateness = Some(0.5);
    for could_stamp in [true, false] {
        let conditions = RunConditions {
            clients: 1,
            could_stamp,
            recorder_wait: 50.0,
            ..quiet()
        };
        let quality = judge(&[(100, late.clone())], &conditions);
        // First and last token, gaps, lateness, the recorder.
        assert_eq!(quality.reasons.len(), 4, "{:?}", quality.reasons);
        let advises = |reason: &String| reason.contains("fewer clients");
        assert!(
            !quality.reasons.iter().any(advises),
            "{:?}",
            quality.reasons
        );
    }
}

#[test]
fn nothing_is_advised_that_cannot_be_had() {
    let late = answer(false, &[(0, LATE), (1, LATE)]);
    let conditions = RunConditions {
        could_stamp: false,
        own_clock: None,
        workers: vec![WorkerReport {
            wait_share: 0.5,
            mean_wait: 0.1,
            ..WorkerReport::default()
        }],
        ..quiet()
    };
    let quality = judge(&[(100, late)], &conditions);
    assert_eq!(quality.verdict, Verdict::ClientBound);
    assert!(
        !quality
            .reasons
            .iter()
            .any(|reason| reason.contains("kernel")),
        "{:?}",
        quality.reasons
    );
}

#[test]
fn requests_that_this_machine_could_not_send_are_its_own_fault() {
    let failed = ResponseQuality {
        is_failed: true,
        lacking: Some(LocalResource::Ports),
        ..ResponseQuality::default()
    };
    let quality = judge(&[(99, good(true)), (1, failed)], &quiet());
    assert_verdict(&quality, Verdict::ClientBound, "ip_local_port_range");
    assert_eq!(quality.local_failures, 1);
}

#[test]
fn a_run_in_which_nothing_was_read_has_no_stamps() {
    let failed = ResponseQuality {
        is_failed: true,
        ..ResponseQuality::default()
    };
    let quality = judge(&[(3, failed)], &quiet());
    assert_eq!(quality.stats()["measurement_stamps"], "none");
}

#[test]
fn time_lost_to_connections_of_no_use_lowers_the_load() {
    let mut stale = good(true);
    stale.stale_connection_wait = Some(0.5);
    let quality = judge(&[(98, good(true)), (2, stale.clone())], &quiet());
    assert_verdict(&quality, Verdict::Clean, "");
    assert_eq!(quality.stale_connections, 2);
    let quality = judge(&[(98, good(true)), (4, stale)], &quiet());
    assert_verdict(&quality, Verdict::Degraded, "kept connections");
}
