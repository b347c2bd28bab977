//! The report of a mix: that of the whole, and its classes side by side.

use super::{Block, Report, Table, Tone, charts};
use crate::base::shown::duration;
use crate::experiment::WorkloadsResult;
use crate::report::figure::{self, Series, Values};
use crate::report::summary::figure as number;
use crate::stats::{Metric, Percentile};

/// The latencies that classes are compared by, with their names in addresses.
const DRAWN: [(&str, &str); 3] = [
    ("ttft", "time_to_first_token"),
    ("tpot", "time_per_output_token"),
    ("ttlt", "time_to_last_token"),
];

impl Report {
    /// The report of classes of workload that ran side by side: that of the whole, in which each class is a series
    /// of charts over time and of latencies, so that noisy neighbours show.
    pub fn of_workloads(mix: &WorkloadsResult) -> Self {
        let mut report = Self::of_run(&mix.whole);
        let mut blocks: Vec<Block> = mix
            .warnings
            .iter()
            .map(|text| Block::text(Tone::Warning, text))
            .collect();
        blocks.extend(by_class(mix));
        match report
            .sections
            .iter_mut()
            .find(|section| section.id == "workloads")
        {
            Some(section) => section.blocks.extend(blocks),
            None => report.add("workloads", "Workloads", blocks),
        }
        report
    }
}

fn by_class(mix: &WorkloadsResult) -> Vec<Block> {
    let classes: Vec<_> = mix
        .classes
        .iter()
        .map(|(name, result)| {
            let alone = mix.alone.iter().find(|(of, _)| of == name);
            let alone = alone.map(|(name, result)| Series::new(name, result));
            (Series::new(name, result), alone)
        })
        .collect();
    let together: Vec<Series<'_>> = classes.iter().map(|(class, _)| *class).collect();
    let mut blocks = Vec::new();
    for (id, key) in DRAWN {
        let Some(metric) = Metric::named(key) else {
            continue;
        };
        let about = match mix.alone.is_empty() {
            true => "All successful requests of each class.",
            false => {
                "All successful requests of each class, before them those of the class alone: what is higher \
                 beside the others is what they do to it."
            }
        };
        let Some(figure) = figure::boxplot_by_class(&classes, metric) else {
            continue;
        };
        let table = percentiles(&classes, metric);
        blocks.extend(charts::chart(
            &format!("workloads-{id}"),
            about,
            figure,
            table,
        ));
    }
    let mut figure = figure::timeline_together(&together);
    figure.retitle("The workloads over time");
    blocks.extend(charts::chart(
        "workloads-timeline",
        "Each class from the first request of all on; requests and tokens are counted when a response ends, failures \
         when they were known. Where the load of one class rises and the latency of another one with it, they disturb \
         each other.",
        figure,
        over_time(&together),
    ));
    blocks
}

/// The percentiles of each class, and what they were alone.
fn percentiles(
    classes: &[(Series<'_>, Option<Series<'_>>)],
    metric: &'static Metric,
) -> Option<Table> {
    let wanted = [50, 90, 99].into_iter().filter_map(Percentile::whole);
    let wanted: Vec<Percentile> = wanted.collect();
    let titles = ["workload".to_owned(), "requests".to_owned()];
    let titles = titles
        .into_iter()
        .chain(wanted.iter().map(ToString::to_string));
    let mut rows = vec![titles.collect::<Vec<_>>()];
    for (together, alone) in classes {
        let both = alone
            .map(|one| (one, format!("{}, alone", one.name)))
            .into_iter()
            .chain([(*together, together.name.to_owned())]);
        for (one, name) in both {
            let Some(values) = Values::of(one, metric.key) else {
                continue;
            };
            let cell = |wanted: &Percentile| {
                let value = values.percentile(*wanted);
                value.map_or_else(|| "—".to_owned(), duration)
            };
            let cells = wanted.iter().map(cell);
            let first = [name, number(values.count() as f64)];
            rows.push(first.into_iter().chain(cells).collect());
        }
    }
    Table::of(metric.label, rows, &[""; 0])
}

/// Each class over its time.
fn over_time(classes: &[Series<'_>]) -> Option<Table> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    // Not all of them are open loops.
    let of_each: Vec<_> = classes
        .iter()
        .map(|one| figure::timeline_rows(*one))
        .collect();
    let titles = of_each.iter().filter_map(|rows| rows.first());
    let titles = titles.max_by_key(|titles| titles.len())?;
    let first = std::iter::once("workload".to_owned());
    rows.push(first.chain(titles.iter().cloned()).collect());
    for (class, of_class) in classes.iter().zip(&of_each) {
        let Some((own, others)) = of_class.split_first() else {
            continue;
        };
        for row in others {
            let cell = |title: &String| {
                let place = own.iter().position(|known| known == title);
                let cell = place.and_then(|place| row.get(place));
                cell.map_or_else(|| "—".to_owned(), String::clone)
            };
            let first = std::iter::once(class.name.to_owned());
            rows.push(first.chain(titles.iter().map(cell)).collect());
        }
    }
    Table::of("Over time", rows, &[""; 0])
}
