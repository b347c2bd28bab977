//! What the user should know although the run is complete.

use serde_json::{Map, Value};

use crate::endpoint::{Endpoint, Transport};
use crate::load::Load;
use crate::result::MeasurementQuality;
use crate::run::recorder::Collected;
use crate::run::{RunConfig, Unsaved};
use llmeter_wire::StampSource;

/// What the user should know although the run is complete.
pub(super) fn of_run(
    collected: &Collected,
    quality: &MeasurementQuality,
    config: &RunConfig,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if collected.lost > 0 {
        let lost = collected.lost;
        let warning = format!("{lost} responses were lost because decoding them panicked");
        warnings.push(warning);
    }
    let label = collected.wrong_label.as_deref();
    warnings.extend(label.and_then(|label| wrong_label(label, &*config.endpoint)));
    if collected.uncounted > 0 {
        let tokenizer = config.tokenizer.name().unwrap_or_default();
        warnings.push(format!(
            "the tokenizer {tokenizer} cannot count a text of {}; token counts of these are estimated \
             from their frames, or unknown",
            match collected.uncounted {
                1 => "1 response or its prompt".to_owned(),
                count => format!("{count} responses or their prompts"),
            }
        ));
    }
    if config.insecure
        && let Transport::Http(api) = config.endpoint.transport()
        && api.server().tls
    {
        warnings.push("the server's certificate was not checked".to_owned());
    }
    if let Some(data) = &config.data {
        warnings.extend(data.notes());
    }
    if let Ok(Some(proxy)) = config.proxy() {
        let shown = proxy.shown();
        warnings.push(format!(
            "requests went through the proxy {shown}, whose time is in every figure"
        ));
    }
    if config.stamps != StampSource::User
        && quality.stamps == StampSource::User
        && let Transport::Http(api) = config.endpoint.transport()
        && quality.receive_delay.is_some()
    {
        let rate = quality.kernel_stamped_rate * 100.0;
        let late = "times were taken after each read";
        warnings.push(match api.server().socket {
            Some(_) => format!("Unix sockets have no kernel receive stamps; {late}"),
            None if rate == 0.0 => format!("this system gives no kernel receive stamps; {late}"),
            None => format!(
                "only {rate:.0} % of the reads had kernel receive stamps; the times of the others \
                 were taken after the read"
            ),
        });
    }
    warnings
}

/// How connections ended that did not end as their protocol has it, in the statistics of a run.
pub(super) fn of_transport_ends(stats: &Map<String, Value>) -> Option<String> {
    let prefix = "transport_end-";
    let ends = stats.iter().filter_map(|(key, count)| {
        let end = key.strip_prefix(prefix)?;
        Some((end.replace('_', " "), count.as_u64()?))
    });
    let ends: Vec<_> = ends.collect();
    let sum: u64 = ends.iter().map(|(_, count)| count).sum();
    let shown: Vec<_> = ends
        .iter()
        .map(|(end, count)| format!("{end}: {count}"))
        .collect();
    let (responses, were) = match sum {
        0 => return None,
        1 => ("1 response".to_owned(), "was"),
        sum => (format!("{sum} responses"), "were"),
    };
    Some(format!(
        "{responses} {were} complete although the connection did not end as it should ({})",
        shown.join(", ")
    ))
}

/// Whether the run can be repeated from its folder, and if not, why.
pub(super) fn of_unsaved(config: &RunConfig) -> Option<String> {
    // Whatever cannot be saved has stopped the run before.
    let mut unsaved = Unsaved::of(config).unwrap_or_default();
    unsaved.schedule &=
        !matches!(&config.load, Load::Schedule(schedule) if schedule.is_of_experiment());
    (!unsaved.is_empty())
        .then(|| format!("the run cannot be repeated from its folder: {unsaved} has no saved form"))
}

/// That streams have this content type, or none, which is not theirs.
pub(crate) fn wrong_label(label: &str, endpoint: &dyn Endpoint) -> Option<String> {
    let Transport::Http(api) = endpoint.transport() else {
        return None;
    };
    let label = match label {
        "" => "have no content type".to_owned(),
        label => format!("are labelled {label:?}"),
    };
    Some(format!(
        "the server's streams {label} instead of {}; they were read as what they are",
        api.framing().media_type()
    ))
}
