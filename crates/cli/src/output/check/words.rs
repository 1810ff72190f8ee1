//! What several formats say alike.

use std::net::IpAddr;

use ringfence_advisor::posture::{NamespacePosture, Openness};
use ringfence_advisor::{Code, Finding, Fix, Report, Safety, Witness};
use ringfence_engine::Peer;
use ringfence_model::diagnostic::Severity;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodKind, Snapshot};
use ringfence_model::source::Location;

use super::Printed;
use crate::output::layout::count;
use crate::output::{shell, visible};

/// Where the page of a rule can be read.
pub(super) fn page(code: Code) -> String {
    format!("https://ringfence.dev/findings/{code}")
}

/// The word for a severity.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// How many findings of each severity there are, worst first, in words: `2 errors`. None
/// that is zero.
pub(super) fn severities(report: &Report) -> Vec<(Severity, String)> {
    let words = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Note, "note", "notes"),
    ];
    let counted = words.into_iter().map(|(severity, one, many)| {
        let number = report.count(severity);
        (number, severity, count(number, one, many))
    });
    counted
        .filter(|(number, ..)| *number > 0)
        .map(|(_, severity, text)| (severity, text))
        .collect()
}

/// What there is besides findings: `1 suppressed`, `3 not verified`.
pub(super) fn besides(report: &Report) -> Vec<String> {
    let parts = [
        (report.suppressed.len(), "suppressed"),
        (report.not_verified.len(), "not verified"),
    ];
    let present = parts.into_iter().filter(|(number, _)| *number > 0);
    present
        .map(|(number, what)| format!("{number} {what}"))
        .collect()
}

/// All counts in one line.
pub(super) fn counts(report: &Report) -> String {
    let mut parts: Vec<String> = severities(report)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    if parts.is_empty() {
        parts.push("no findings".to_owned());
    }
    parts.extend(besides(report));
    parts.join(", ")
}

/// What was assumed, to be said beside the counts: `profile upstream; ...`.
pub(super) fn assumptions(printed: &Printed<'_>) -> String {
    let assumed = if printed.assumed_dns {
        "; the input has no name servers: CoreDNS in kube-system is assumed"
    } else {
        ""
    };
    format!("profile {}{assumed}", printed.profile.name)
}

/// The codes of the rules that found something, ascending.
pub(super) fn codes(report: &Report) -> Vec<Code> {
    let mut codes: Vec<Code> = report.findings.iter().map(|f| f.rule.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Where the finding is written.
pub(super) fn location(printed: &Printed<'_>, finding: &Finding) -> Option<Location> {
    finding.primary.as_ref()?.locate(printed.sources)
}

/// Message, consequence and help, each on a line of plain text.
pub(super) fn explanation(printed: &Printed<'_>, finding: &Finding) -> String {
    let mut lines = vec![finding.message.clone()];
    lines.extend(finding.consequence.clone());
    lines.extend(witness(printed, finding));
    lines.extend(finding.help.as_ref().map(|help| format!("help: {help}")));
    lines.extend(finding.fix.as_ref().map(|fix| {
        let title = &fix.title;
        format!("fix: {title}")
    }));
    let lines: Vec<_> = lines.iter().map(|line| visible::line(line)).collect();
    lines.join("\n")
}

/// What makes a fix, or what keeps it from being made.
pub(super) fn fix(fix: &Fix, obstacle: Option<&String>) -> String {
    let title = &fix.title;
    match (obstacle, fix.safety) {
        (Some(obstacle), _) => format!("{title} by hand ({obstacle})"),
        (None, Safety::Safe) => format!("`--fix` can {title}"),
        (None, Safety::Unsafe) => format!("`--fix --unsafe-fixes` can {title}"),
    }
}

/// The packet that shows it: its verdict, and the command that confirms it.
pub(super) fn witness(printed: &Printed<'_>, finding: &Finding) -> Option<String> {
    let witness = finding.witness.as_ref()?;
    let (from, to) = explain_arguments(printed.snapshot, witness);
    let (from, to) = (shell::word(&from), shell::word(&to));
    let (verdict, input) = (witness.says(), printed.input);
    Some(format!(
        "{verdict}: see `ringfence explain {from} {to}{input}`"
    ))
}

/// The two arguments of the `explain` that confirms a witness.
pub(super) fn explain_arguments(snapshot: &Snapshot, witness: &Witness) -> (String, String) {
    let packet = &witness.packet;
    let port = match packet.protocol {
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Tcp => packet.port.to_string(),
        Protocol::Udp => format!("{}/udp", packet.port),
        Protocol::Sctp => format!("{}/sctp", packet.port),
    };
    let source = end(snapshot, packet.source);
    let destination = match packet.destination {
        Peer::Address(IpAddr::V6(address)) => format!("[{address}]"),
        other => end(snapshot, other),
    };
    (source, format!("{destination}:{port}"))
}

fn end(snapshot: &Snapshot, peer: Peer) -> String {
    match peer {
        Peer::Address(address) => address.to_string(),
        Peer::Pod(id) => {
            let pod = snapshot.pod(id);
            let namespace = &snapshot.namespace(pod.namespace).name;
            let workload = snapshot.workload(pod.workload);
            match pod.kind {
                PodKind::Single => format!("{namespace}/Pod/{}", pod.name),
                PodKind::Template | PodKind::Outside => {
                    let names_alike = snapshot.find_workload(namespace, None, &workload.name);
                    if names_alike.len() > 1 {
                        format!("{namespace}/{}/{}", workload.kind, workload.name)
                    } else {
                        format!("{namespace}/{}", workload.name)
                    }
                }
            }
        }
    }
}

/// How a cell of the posture is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    /// Partly good.
    Doubtful,
    Bad,
    Unknown,
    /// Neither good nor bad.
    Plain,
}

/// The headings of the posture.
pub(super) const POSTURE: [&str; 7] = [
    "namespace",
    "pods",
    "egress isolated",
    "ingress isolated",
    "DNS",
    "metadata",
    "internet",
];

/// One cell of the posture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    /// What has to be known to read it; mostly empty.
    pub(super) aside: String,
}

impl Cell {
    fn new(text: impl ToString, tone: Tone) -> Self {
        Self {
            text: text.to_string(),
            tone,
            aside: String::new(),
        }
    }

    /// Everything in one line.
    pub(super) fn line(&self) -> String {
        if self.aside.is_empty() {
            return self.text.clone();
        }
        format!("{} ({})", self.text, self.aside)
    }
}

/// The posture of a namespace, in the order of [`POSTURE`].
pub(super) fn posture(posture: &NamespacePosture) -> [Cell; 7] {
    let isolated = |number: usize| {
        // Whatever pods there are, the input does not have them.
        if posture.pods == 0 {
            return Cell::new("unknown", Tone::Unknown);
        }
        let tone = match number {
            n if n == posture.pods => Tone::Good,
            0 => Tone::Bad,
            _ => Tone::Doubtful,
        };
        Cell::new(format!("{number}/{}", posture.pods), tone)
    };
    let mut egress = isolated(posture.egress_isolated);
    if posture.host_network > 0 {
        egress.aside = format!("{} hostNetwork", posture.host_network);
    }
    [
        Cell::new(&posture.namespace, Tone::Plain),
        Cell::new(posture.pods, Tone::Plain),
        egress,
        isolated(posture.ingress_isolated),
        needed(posture.dns),
        unwanted(posture.metadata),
        unwanted(posture.internet),
    ]
}

/// The word for something that pods need.
fn needed(openness: Openness) -> Cell {
    let (word, tone) = match openness {
        Openness::Open => ("reachable", Tone::Good),
        Openness::Partly => ("partly", Tone::Doubtful),
        Openness::Closed => ("blocked", Tone::Bad),
        Openness::Unknown => ("unknown", Tone::Unknown),
    };
    Cell::new(word, tone)
}

/// The word for something that pods should not have.
fn unwanted(openness: Openness) -> Cell {
    let tone = match openness {
        Openness::Closed => Tone::Good,
        Openness::Partly => Tone::Doubtful,
        Openness::Open => Tone::Bad,
        Openness::Unknown => Tone::Unknown,
    };
    Cell::new(openness.as_str(), tone)
}
