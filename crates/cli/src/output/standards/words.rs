//! What the formats say alike.

use ringfence_advisor::standards::{ControlResult, Objection, Open, Status};
use ringfence_model::source::Location;

use super::Printed;

/// The word for the answer to a control.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::NotVerified => "not verified",
        Status::Fail => "fail",
    }
}

/// How many controls have each answer: `1 fails, 2 pass, 3 not verified`.
pub(super) fn counts<'a>(controls: impl Iterator<Item = &'a ControlResult> + Clone) -> String {
    let count = |wanted| controls.clone().filter(|c| c.status == wanted).count();
    format!(
        "{} fail, {} pass, {} not verified",
        count(Status::Fail),
        count(Status::Pass),
        count(Status::NotVerified)
    )
}

/// What a control rests on, in a few words: `3 objections, 1 accepted risk`.
pub(super) fn besides(result: &ControlResult) -> String {
    let one = |number: usize, one: &str, many: &str| {
        (number > 0).then(|| match number {
            1 => format!("1 {one}"),
            number => format!("{number} {many}"),
        })
    };
    let parts = [
        one(result.failing.len(), "objection", "objections"),
        one(result.accepted.len(), "accepted risk", "accepted risks"),
        one(result.open.len(), "open question", "open questions"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// The code and what is true.
pub(super) fn objection(objection: &Objection) -> String {
    match objection.code {
        Some(code) => format!("{code} {}", objection.message),
        None => objection.message.clone(),
    }
}

/// Where it is written, or the object where it is not.
pub(super) fn place(printed: &Printed<'_>, objection: &Objection) -> String {
    match location(printed, objection) {
        Some(at) => format!("{}:{}", at.file, at.span.start.line),
        None => objection.object.to_string(),
    }
}

pub(super) fn location(printed: &Printed<'_>, objection: &Objection) -> Option<Location> {
    objection.place.as_ref()?.locate(printed.sources)
}

/// A question in one sentence.
pub(super) fn question(open: &Open) -> String {
    match open.why.is_empty() {
        true => format!("{}: {}", open.what, open.how),
        false => format!("{} ({}): {}", open.what, open.why, open.how),
    }
}
