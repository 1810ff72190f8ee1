use std::net::{IpAddr, Ipv6Addr};

use ringfence_engine::{Packet, Peer};
use ringfence_model::address::{IpFamily, from_number, to_number};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;

use crate::context::{Context, WrittenBlock, WrittenRule};
use crate::finding::{At, Edit, Finding, Fix, Place, Safety, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// An exception that can never match, or that the API server rejects.
pub(super) static RULE: Rule = Rule {
    code: Code(405),
    name: "useless-exception",
    severity: Severity::Warning,
    summary: "an `except` that changes nothing, or that the API server rejects",
    page: include_str!("../../../../docs/findings/RF405.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for diagnostic in context.diagnostics {
        if diagnostic.code == "except-outside-cidr" {
            findings.extend(rejected(diagnostic));
        }
    }
    for (id, _) in context.snapshot.policy_ids() {
        for rule in context.written_rules_of(id) {
            for block in &rule.blocks {
                covered(context, rule, block, findings);
                promised_in_a_comment(context, rule, block, findings);
            }
        }
    }
}

/// An exception that is not inside its block: the reader of the input has seen it.
fn rejected(diagnostic: &Diagnostic) -> Option<Finding> {
    let place = |annotation: &ringfence_model::diagnostic::Annotation, label: &str| Place {
        at: At::Location(annotation.location.clone()),
        label: label.to_owned(),
    };
    // The message begins with the way to the entry, which the place shows.
    let (_, what) = diagnostic.message.split_once(": ")?;
    Some(Finding {
        rule: &RULE,
        severity: Severity::Error,
        message: format!("the API server rejects this exception: {what}"),
        consequence: Some(
            "the whole policy is refused, and what it should have isolated stays as it is"
                .to_owned(),
        ),
        help: diagnostic.help.clone(),
        object: diagnostic.object.clone()?,
        primary: diagnostic
            .primary
            .as_ref()
            .map(|p| place(p, "must be inside the block, and smaller")),
        related: diagnostic
            .related
            .iter()
            .map(|related| place(related, &related.label))
            .collect(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    })
}

/// Exceptions inside other exceptions of the same block.
fn covered(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    block: &WrittenBlock,
    findings: &mut Findings,
) {
    let except = &block.block.except;
    for (index, entry) in except.iter().enumerate() {
        let mut numbered = except.iter().enumerate();
        let Some((by, covering)) = numbered.find(|(other, covering)| {
            // Of two that are the same, the second is one too many.
            let is_first = covering.trunc() != entry.trunc() || *other < index;
            *other != index && is_first && covering.contains(entry)
        }) else {
            continue;
        };
        let policy = context.snapshot.policy(rule.id.policy);
        let path = rule.block_path(block).key("except");
        let subjects = subjects(context, rule.id.policy);
        let message = match covering.trunc() == entry.trunc() {
            true => format!("`{}` excepts {entry} twice", policy.name),
            false => format!(
                "the exception of {entry} in `{}` changes nothing: {covering} is excepted too",
                policy.name
            ),
        };
        let place = policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, path.index(index), "changes nothing"));
        // A comment says what the author meant: it is theirs to take away.
        let has_comment = place
            .as_ref()
            .is_some_and(|place| comment(context, place).is_some());
        let removable = policy.origin.as_ref().filter(|_| !has_comment);
        findings.push(Finding {
            rule: &RULE,
            severity: RULE.severity,
            message,
            consequence: Some(
                "it is closed either way, and who narrows the wider one must know that".to_owned(),
            ),
            help: Some("keep the wider one".to_owned()),
            object: context.policy_ref(rule.id.policy),
            primary: place,
            related: policy
                .origin
                .as_ref()
                .map(|origin| Place::value(origin, path.index(by), "covers it"))
                .into_iter()
                .collect(),
            witness: witness(context, rule, entry.network(), &subjects),
            affected: context.workloads(subjects),
            fix: removable.map(|origin| Fix {
                title: "remove the exception that changes nothing".to_owned(),
                safety: Safety::Safe,
                edits: vec![Edit::Remove {
                    origin: origin.clone(),
                    path: path.index(index),
                }],
            }),
        });
    }
}

/// IPv6 addresses in the comment of an IPv4 exception.
fn promised_in_a_comment(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    block: &WrittenBlock,
    findings: &mut Findings,
) {
    if block.block.family() != IpFamily::V4 {
        return;
    }
    let policy = context.snapshot.policy(rule.id.policy);
    let Some(origin) = &policy.origin else {
        return;
    };
    let path = rule.block_path(block).key("except");
    for (index, entry) in block.block.except.iter().enumerate() {
        let place = Place::value(origin, path.index(index), "this is for IPv4 only");
        let Some(address) = commented_ipv6(context, &place) else {
            continue;
        };
        let subjects = subjects(context, rule.id.policy);
        findings.push(Finding {
            rule: &RULE,
            severity: RULE.severity,
            message: format!(
                "the comment says that {address} is excepted too, and {entry} has no IPv6 address \
                 in it"
            ),
            consequence: Some(
                "an address of one family is never inside a block of the other: if these pods \
                 have IPv6, this block neither opens nor closes it"
                    .to_owned(),
            ),
            help: Some(
                "correct the comment; IPv6 needs a block of its own, with exceptions of its own \
                 (RF404)"
                    .to_owned(),
            ),
            object: context.policy_ref(rule.id.policy),
            primary: Some(place),
            related: Vec::new(),
            witness: witness(context, rule, entry.network(), &subjects),
            affected: context.workloads(subjects),
            fix: None,
        });
    }
}

/// What follows the `#` on the line of a place.
fn comment<'a>(context: &Context<'a>, place: &Place) -> Option<&'a str> {
    let location = place.locate(context.sources)?;
    let text = context.sources.text_of(&location.file)?;
    let rest = text.get(location.span.end.offset..)?;
    let (_, comment) = rest.lines().next()?.split_once('#')?;
    Some(comment)
}

/// The first IPv6 address, or shortened one, in the comment of the line of a place.
fn commented_ipv6(context: &Context<'_>, place: &Place) -> Option<String> {
    let words = comment(context, place)?
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ';'));
    let is_ipv6 = |word: &&str| {
        let address = word.split('/').next().unwrap_or_default();
        word.contains("::") && word.len() > 2 && address.parse::<Ipv6Addr>().is_ok()
    };
    words
        .map(|word| word.trim_matches(['`', '\'', '"', '.', '[', ']']))
        .find(is_ipv6)
        .map(str::to_owned)
}

/// The pods that a policy selects for certain and that it matters to.
fn subjects(context: &Context<'_>, policy: PolicyId) -> Vec<PodId> {
    let subjects = context.engine.subjects_of(policy).into_iter();
    subjects
        .filter(|(pod, selected)| *selected == Tri::Yes && !context.snapshot.pod(*pod).host_network)
        .map(|(pod, _)| pod)
        .collect()
}

/// A packet to or from an excepted address, whatever becomes of it.
fn witness(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    network: IpAddr,
    subjects: &[PodId],
) -> Option<Witness> {
    let family = IpFamily::of(network);
    // Not the address of a known pod: that would be the pod.
    let address = (0..64)
        .filter_map(|step| to_number(network).checked_add(step))
        .map(|number| from_number(family, number))
        .find(|address| context.snapshot.pod_with_address(*address).is_none())?;
    let pod = Peer::Pod(*subjects.first()?);
    let (protocol, port) = Protocol::WITH_PORTS
        .into_iter()
        .find_map(|protocol| Some((protocol, rule.ports.ranges(protocol).first()?.0)))
        .unwrap_or((Protocol::Tcp, 443));
    let address = Peer::Address(address);
    let (source, destination) = match rule.id.direction {
        Direction::Egress => (pod, address),
        Direction::Ingress => (address, pod),
    };
    Some(context.witness(Packet {
        source,
        destination,
        family,
        protocol,
        port,
        through_service: None,
    }))
}
