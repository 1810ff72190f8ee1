//! One cause, one finding: of two findings that say the same from two sides, the one that
//! says less gives way.
//!
//! A finding gives way only where the other is about every workload that it is about, so
//! that nothing open is left without a finding.

use ringfence_model::object::ObjectRef;
use ringfence_model::source::{KeyPath, Origin, PathSegment};

use crate::finding::{At, Finding};
use crate::rule::Code;

/// What two findings must have in common for the first to give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Common {
    /// A rule of one policy that both point at.
    Rule,
    /// Nothing but their workloads, in one namespace.
    Workloads,
    /// The place.
    Place,
    /// The place of the first, which the other points at too.
    Entry,
}

/// The code that gives way, to which other, and where.
const GIVES_WAY: [(Code, Code, Common); 11] = [
    // The policy that was to isolate them says what is wrong, and the fix is in it.
    (Code(201), Code(202), Common::Workloads),
    (Code(201), Code(203), Common::Workloads),
    // A rule that misses the name servers is a peer that matches nothing.
    (Code(205), Code(303), Common::Rule),
    // DNS to anywhere is also DNS to a metadata address.
    (Code(401), Code(304), Common::Rule),
    // The port of the name servers' Service is a Service's port.
    (Code(506), Code(303), Common::Entry),
    // What is said to be denied is the whole internet.
    (Code(501), Code(402), Common::Rule),
    // Who reaches everywhere reaches every namespace.
    (Code(503), Code(304), Common::Rule),
    (Code(503), Code(402), Common::Rule),
    (Code(503), Code(501), Common::Rule),
    // That it overrides the policies of namespaces is worse.
    (Code(703), Code(701), Common::Rule),
    // It is rejected because of that exception.
    (Code(605), Code(405), Common::Place),
];

/// Removes findings that others say better. The order of the others stays.
pub(crate) fn give_way(findings: Vec<Finding>) -> Vec<Finding> {
    let keep: Vec<bool> = findings
        .iter()
        .map(|finding| !findings.iter().any(|other| is_said_by(finding, other)))
        .collect();
    let kept = findings.into_iter().zip(keep);
    kept.filter_map(|(finding, keep)| keep.then_some(finding))
        .collect()
}

fn is_said_by(finding: &Finding, other: &Finding) -> bool {
    let pair = (finding.rule.code, other.rule.code);
    let Some((_, _, common)) = GIVES_WAY.iter().find(|(a, b, _)| (*a, *b) == pair) else {
        return false;
    };
    // A doubt does not outweigh what is certain. Findings of the place are one by nature.
    let is_as_bad = other.severity >= finding.severity;
    let covers_all = finding
        .affected
        .iter()
        .all(|workload| other.affected.contains(workload));
    is_as_bad
        && covers_all
        && match common {
            Common::Rule => {
                finding.object == other.object
                    && rules_of(finding).any(|rule| rules_of(other).any(|o| o == rule))
            }
            Common::Workloads => {
                !finding.affected.is_empty()
                    && namespace_of(&finding.object) == namespace_of(&other.object)
            }
            Common::Entry => {
                finding.object == other.object
                    && other
                        .primary
                        .iter()
                        .chain(&other.related)
                        .any(|place| finding.primary.as_ref().is_some_and(|p| p.at == place.at))
            }
            Common::Place => finding.object == other.object && same_place(finding, other),
        }
}

fn namespace_of(object: &ObjectRef) -> Option<&str> {
    match &*object.kind {
        "Namespace" => Some(&object.name),
        _ => object.namespace.as_deref(),
    }
}

/// The rules of policies that a finding points at: direction and index.
fn rules_of(finding: &Finding) -> impl Iterator<Item = (&Origin, &[PathSegment])> {
    let places = finding.primary.iter().chain(&finding.related);
    places.filter_map(|place| match &place.at {
        At::Path { origin, path, .. } => Some((origin, rule_in(path)?)),
        At::Location(_) => None,
    })
}

/// `spec.egress[0]` of a path that begins so.
fn rule_in(path: &KeyPath) -> Option<&[PathSegment]> {
    let rule = path.0.get(..3)?;
    matches!(
        rule,
        [
            PathSegment::Key(spec),
            PathSegment::Key(direction),
            PathSegment::Index(_)
        ] if &**spec == "spec" && matches!(&**direction, "egress" | "ingress")
    )
    .then_some(rule)
}

fn same_place(a: &Finding, b: &Finding) -> bool {
    match (&a.primary, &b.primary) {
        (Some(a), Some(b)) => a.at == b.at,
        _ => false,
    }
}
