//! What the formats say alike.

use ringfence_advisor::why_open::{Answer, Destination, Opener, Question, Reached, Status};
use ringfence_engine::Verdict;
use ringfence_model::metadata;

use super::Printed;
use crate::output::address_names::AddressNames;
use crate::output::reach::port_words;

/// Workloads that are named in one line at most.
const NAMED: usize = 4;

/// The word for the answer of a step.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::NotVerified => "not verified",
        Status::NotOk => "not ok",
    }
}

/// The word for the answer of the walk.
pub(super) fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Closed => "closed",
        Answer::Unknown => "unknown",
        Answer::Open => "open",
    }
}

/// `ns/name` of the workload, and which of its pods the walk is about where they differ.
pub(super) fn subject(printed: &Printed<'_>) -> String {
    let (snapshot, walk) = (printed.snapshot, printed.walk);
    let workload = snapshot.workload(walk.workload);
    let namespace = &snapshot.namespace(workload.namespace).name;
    let name = format!("{namespace}/{}", workload.name);
    if walk.alike == walk.pods {
        return name;
    }
    let pod = &snapshot.pod(walk.pod).name;
    format!(
        "{name} (pod {pod}; {} of {} are like it)",
        walk.alike, walk.pods
    )
}

/// What stands before what is reached: where nothing is enforced, it is what would be.
pub(super) fn reaches(printed: &Printed<'_>) -> &'static str {
    let mut steps = printed.walk.steps.iter();
    let is_enforced =
        !steps.any(|step| step.question == Question::Enforcement && step.status == Status::NotOk);
    match is_enforced {
        true => "it reaches",
        false => "if policies were enforced, it would reach",
    }
}

/// What is reached, in words.
pub(super) fn what(printed: &Printed<'_>, names: &AddressNames, what: &Destination) -> String {
    let snapshot = printed.snapshot;
    match what {
        Destination::Metadata(addresses) => {
            // The one that most platforms have comes first.
            let common = addresses.iter().find(|a| **a == metadata::COMMON);
            let Some(address) = common.or(addresses.first()) else {
                return "cloud metadata".to_owned();
            };
            let mut providers: Vec<&str> = metadata::endpoints_at(*address)
                .map(|endpoint| endpoint.provider)
                .collect();
            providers.dedup();
            let provider = match providers.as_slice() {
                [] => String::new(),
                [one] => format!(" ({one})"),
                [one, ..] => format!(" ({one} and others)"),
            };
            let more = match addresses.len().saturating_sub(1) {
                0 => String::new(),
                1 => " and one more address".to_owned(),
                more => format!(" and {more} more addresses"),
            };
            format!("cloud metadata {address}{provider}{more}")
        }
        Destination::Internet(nets) | Destination::Private(nets) => {
            let places = names.places(nets);
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            places.join(", ")
        }
        Destination::Workloads(namespace, workloads) => {
            let namespace = &snapshot.namespace(*namespace).name;
            let shown = workloads.iter().take(NAMED);
            let shown: Vec<&str> = shown.map(|id| &*snapshot.workload(*id).name).collect();
            let more = workloads.len().saturating_sub(NAMED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{namespace}/{}{more}", shown.join(", "))
        }
    }
}

/// The ports, with what is not certain.
pub(super) fn ports(reached: &Reached) -> String {
    let mut words = Vec::new();
    if !reached.open.allow.is_empty() {
        words.push(port_words(&reached.open.allow).join(", "));
    }
    if !reached.open.maybe.is_empty() {
        let maybe = port_words(&reached.open.maybe).join(", ");
        words.push(format!("perhaps {maybe}"));
    }
    words.join("; ")
}

/// What lets it out, with the line.
pub(super) fn opener(printed: &Printed<'_>, opener: &Opener) -> String {
    let place = opener.place.as_ref();
    match place.and_then(|place| place.locate(printed.sources)) {
        Some(at) => format!("{} ({}:{})", opener.text, at.file, at.span.start.line),
        None => opener.text.clone(),
    }
}

/// Whether something of it is open for certain.
pub(super) fn verdict(reached: &Reached) -> Verdict {
    match reached.open.allow.is_empty() {
        true => Verdict::Unknown,
        false => Verdict::Allowed,
    }
}
