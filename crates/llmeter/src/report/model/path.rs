//! What network and servers had to do with latencies.

use super::charts::chart;
use super::sections::{Part, side_by_side};
use super::{Block, Table};
use crate::report::figure::{Series, ttft_parts};
use crate::report::{intervals, summary};
use crate::stats::{Latency, Stats};

/// Whether a latency is in the tables of this section, and not among those of responses.
pub(super) fn is_of_path(label: &str) -> bool {
    label == "server" || label.starts_with("TTFT: ")
}

/// The parts of TTFT, then what servers say, then what the network does.
pub(super) fn blocks(parts: &[Part<'_>], series: &[Series<'_>]) -> Vec<Block> {
    let known = |part: &Part<'_>| known(&part.stats());
    let table = match parts {
        [part] => {
            let rows = summary::latency_rows(&known(part));
            let notes = summary::latency_notes(&rows);
            Block::table("Network and server", rows, &notes)
        }
        _ => side_by_side("Network and server, medians", "time", parts, |part| {
            let median = |(label, times): (&str, Latency)| {
                [label.to_owned(), intervals::cell(&times, "p50")]
            };
            known(part).into_iter().map(median).collect()
        }),
    };
    let chart = chart(
        "ttft-parts",
        "On average: what the server says that it took, the network's shortest round trip, and what neither says, \
         such as time in proxies, TLS and sockets.",
        ttft_parts(series),
        parts_of_ttft(parts),
    );
    chart.into_iter().chain(table).collect()
}

/// The means of the parts of TTFT.
fn parts_of_ttft(parts: &[Part<'_>]) -> Option<Table> {
    let titles = ["run", "TTFT", "server", "network", "rest"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for part in parts {
        let stats = part.stats();
        if stats.server_ttft.average.is_none() {
            continue;
        }
        let times = [
            stats.ttft,
            stats.server_ttft,
            stats.network_min_round_trip,
            stats.rest_of_ttft,
        ];
        let cells = times.map(|times| intervals::cell(&times, "average"));
        rows.push(std::iter::once(part.name.clone()).chain(cells).collect());
    }
    Table::of("Means of the parts of TTFT", rows, &[""; 0])
}

/// The times that are known, by what they are called.
fn known(stats: &Stats) -> Vec<(&'static str, Latency)> {
    let all = [
        ("TTFT: server", stats.server_ttft),
        ("TTFT: network", stats.network_min_round_trip),
        ("TTFT: rest", stats.rest_of_ttft),
        ("server", stats.server_time),
        ("server: queue", stats.server_queue_time),
        ("server: prompt", stats.server_prompt_time),
        ("server: generation", stats.server_generation_time),
        ("gateway", stats.server_gateway_time),
        ("network: round trip", stats.network_round_trip),
        ("network: shortest round trip", stats.network_min_round_trip),
        ("network: wait for lost packets", stats.network_hole_wait),
        ("this machine: send delay", stats.send_delay),
    ];
    let is_apart = stats.server_ttft.average.is_some();
    all.into_iter()
        // The shortest round trip is a part of TTFT, or stands for itself.
        .filter(|(label, _)| match *label {
            "TTFT: network" => is_apart,
            "network: shortest round trip" => !is_apart,
            _ => true,
        })
        .filter(|(_, times)| times.average.is_some())
        .collect()
}
