//! `networking.k8s.io/v1` `NetworkPolicy`.
//!
//! Sources: the API reference, and the validation of `kubernetes/pkg/apis/networking`
//! as its error messages show it.

use super::checker::Checker;
use super::schema::{Field, LABEL_SELECTOR, Shape};
use super::{METADATA, cidr, ports, selectors};
use crate::parse::names;
use crate::parse::place::Place;
use crate::policy::Direction;

const PORTS: Shape = Shape::List(&Shape::Record(&[
    Field::optional("protocol", Shape::Text),
    Field::optional("port", Shape::WholeOrText),
    Field::optional("endPort", Shape::Whole),
]));

const PEERS: Shape = Shape::List(&Shape::Record(&[
    Field::optional("podSelector", LABEL_SELECTOR),
    Field::optional("namespaceSelector", LABEL_SELECTOR),
    Field::optional(
        "ipBlock",
        Shape::Record(&[
            Field::required("cidr", Shape::Text),
            Field::optional("except", Shape::List(&Shape::Text)),
        ]),
    ),
]));

pub(super) const SCHEMA: &[Field] = &[
    Field::optional("apiVersion", Shape::Text),
    Field::optional("kind", Shape::Text),
    Field::optional("metadata", METADATA),
    Field::optional(
        "spec",
        Shape::Record(&[
            Field::optional("podSelector", LABEL_SELECTOR),
            Field::optional("policyTypes", Shape::List(&Shape::Text)),
            Field::optional(
                "ingress",
                Shape::List(&Shape::Record(&[
                    Field::optional("from", PEERS),
                    Field::optional("ports", PORTS),
                ])),
            ),
            Field::optional(
                "egress",
                Shape::List(&Shape::Record(&[
                    Field::optional("to", PEERS),
                    Field::optional("ports", PORTS),
                ])),
            ),
        ]),
    ),
    Field::optional("status", Shape::Anything),
];

const POLICY_TYPES: &[&str] = &["Ingress", "Egress"];

/// Checks a `spec`.
pub(super) fn check(spec: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    if let Some(selector) = spec.get("podSelector") {
        selectors::check(&selector, checker);
    }
    if let Some(types) = spec.get("policyTypes") {
        let mut all_are_known = true;
        for policy_type in types.items() {
            checker.one_of(&policy_type, POLICY_TYPES);
            let text = policy_type.node.text();
            all_are_known &= text.is_some_and(|text| POLICY_TYPES.contains(&text));
        }
        // With one that is none, it has its error already.
        if all_are_known {
            let count = types.node.items().len();
            checker.length(&types, count, (0, POLICY_TYPES.len()), "policy types");
        }
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let Some(rules) = spec.get(direction.rules_key()) else {
            continue;
        };
        for rule in rules.items() {
            check_rule(&rule, direction, checker);
        }
    }
}

fn check_rule(rule: &Place<'_, '_, '_>, direction: Direction, checker: &mut Checker<'_, '_>) {
    if let Some(ports) = rule.get("ports") {
        for port in ports.items() {
            check_port(&port, checker);
        }
    }
    if let Some(peers) = rule.get(direction.peers_key()) {
        for peer in peers.items() {
            check_peer(&peer, checker);
        }
    }
}

fn check_port(port: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    if let Some(protocol) = port.get("protocol") {
        ports::check_protocol(&protocol, checker);
    }
    let number = port.get("port");
    let is_number_fine = number.is_some_and(|number| match number.node.text() {
        Some(_) => {
            ports::check_name(&number, checker);
            false
        }
        None => ports::check_number(&number, checker),
    });
    let Some(end) = port.get("endPort") else {
        return;
    };
    let is_end_fine = ports::check_number(&end, checker);
    let Some(number) = number else {
        checker
            .error(
                "endport-without-port",
                end.key_or_head(),
                format!("`{}` without `port`", end.at),
            )
            .help("add `port`, the first port of the range");
        return;
    };
    // A number in quotes has its error already.
    if number
        .node
        .text()
        .is_some_and(|name| names::port_name(name).is_ok())
    {
        checker
            .error(
                "endport-with-named-port",
                end.key_or_head(),
                format!("`{}` together with a named port", end.at),
            )
            .help("a range needs numbers on both ends");
    }
    if let (Some(first), Some(last)) = (number.node.whole(), end.node.whole())
        && is_number_fine
        && is_end_fine
        && last < first
    {
        let reported = checker.error(
            "endport-below-port",
            end.value_extent(),
            format!("`{}`: {last} is less than `port`, which is {first}", end.at),
        );
        reported.related(number.value_extent(), "the range begins here");
    }
}

fn check_peer(peer: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    if !peer.node.is_mapping() && !peer.node.is_null() {
        return;
    }
    let pods = peer.get("podSelector");
    let namespaces = peer.get("namespaceSelector");
    for selector in [pods, namespaces].into_iter().flatten() {
        selectors::check(&selector, checker);
    }
    let Some(block) = peer.get("ipBlock") else {
        // With a misspelt field in it, it has its error already.
        let is_empty = peer.entries().all(|entry| entry.node.is_null());
        if pods.is_none() && namespaces.is_none() && is_empty {
            checker
                .error(
                    "empty-peer",
                    peer.key_or_head(),
                    format!("`{}`: a peer must say whom it means", peer.at),
                )
                .help("for everyone, leave the whole list out; for all pods of the cluster, write `namespaceSelector: {}`");
        }
        return;
    };
    if let Some(selector) = pods.or(namespaces) {
        let name = selector.name();
        let reported = checker.error(
            "ipblock-with-selector",
            selector.key_or_head(),
            format!("`{}`: `{name}` cannot be combined with `ipBlock`", peer.at),
        );
        reported
            .related(block.key_or_head(), "the block is here")
            .help("make two peers of it");
    }
    check_block(&block, checker);
}

fn check_block(block: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    let outer = block
        .get("cidr")
        .and_then(|place| cidr::check(&place, checker));
    let Some(exceptions) = block.get("except") else {
        return;
    };
    for except in exceptions.items() {
        let inner = cidr::check(&except, checker);
        if let (Some(inner), Some(outer)) = (inner, outer) {
            cidr::check_except(&except, inner, outer, checker);
        }
    }
}
