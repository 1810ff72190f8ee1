//! What the cluster-wide families have in common, and how they differ.

use super::checker::Checker;
use super::{cidr, ports, selectors};
use crate::parse::names;
use crate::parse::place::Place;
use crate::policy::{Direction, Tier};

/// How one family writes what all of them can say.
pub(super) struct Dialect {
    pub(super) tier: TierSyntax,
    /// The action that lets traffic through.
    pub(super) accept: &'static str,
    pub(super) actions: &'static [&'static str],
    /// The key of the port list in a rule.
    pub(super) ports_key: &'static str,
    pub(super) port_syntax: PortSyntax,
    /// In one direction.
    pub(super) most_rules: usize,
    pub(super) most_peers: usize,
    pub(super) most_ports: usize,
    pub(super) egress_peers: &'static [&'static str],
}

/// Where the tier comes from.
#[derive(Clone, Copy)]
pub(super) enum TierSyntax {
    /// `spec.tier` says it.
    Field,
    /// The kind does.
    Fixed(Tier),
}

/// How ports are written.
#[derive(Clone, Copy)]
pub(super) enum PortSyntax {
    /// `tcp: {destinationPort: {number: 80}}`
    Protocols,
    /// `portNumber: {protocol: TCP, port: 80}`
    Ports,
}

impl Dialect {
    /// The fields a peer can have, of which it has one.
    pub(super) fn peers(&self, direction: Direction) -> &'static [&'static str] {
        match direction {
            Direction::Egress => self.egress_peers,
            Direction::Ingress => &["namespaces", "pods"],
        }
    }

    /// The fields a port can have, of which it has one.
    pub(super) fn ports(&self) -> &'static [&'static str] {
        match self.port_syntax {
            PortSyntax::Protocols => &["tcp", "udp", "sctp", "destinationNamedPort"],
            PortSyntax::Ports => &["portNumber", "portRange", "namedPort"],
        }
    }

    /// The fewest ports that a list of them has. An empty one counts as absent where it
    /// is allowed.
    fn least_ports(&self) -> usize {
        match self.port_syntax {
            PortSyntax::Protocols => 1,
            PortSyntax::Ports => 0,
        }
    }

    /// The field of a port that gives a name.
    pub(super) fn named_port(&self) -> &'static str {
        match self.port_syntax {
            PortSyntax::Protocols => "destinationNamedPort",
            PortSyntax::Ports => "namedPort",
        }
    }
}

/// The code of a record in which one field must be set and none is.
const EMPTY: &str = "exactly-one-field";

const PRIORITIES: (i64, i64) = (0, 1000);
const LONGEST_NAME: usize = 100;
const MOST_NETWORKS: usize = 25;
const LONGEST_CIDR: usize = 43;

/// Checks a `spec`.
pub(super) fn check(spec: &Place<'_, '_, '_>, dialect: &Dialect, checker: &mut Checker<'_, '_>) {
    if let (Some(tier), TierSyntax::Field) = (spec.get("tier"), dialect.tier) {
        checker.one_of(&tier, &["Admin", "Baseline"]);
    }
    if let Some(priority) = spec.get("priority") {
        checker.range(&priority, PRIORITIES);
    }
    if let Some(subject) = spec.get("subject") {
        const FIELDS: &[&str] = &["namespaces", "pods"];
        check_pods(&subject, FIELDS, EMPTY, checker);
        // A rule can fail closed, a policy for unknown pods cannot. With an unknown field
        // in it, it has its error already.
        if checker.is_live() && subject.entries().all(|entry| entry.node.is_null()) {
            checker.error(
                "exactly-one-field",
                subject.key_or_head(),
                format!(
                    "`{}`: to which pods this policy applies is not known",
                    subject.at
                ),
            );
        }
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let Some(rules) = spec.get(direction.rules_key()) else {
            continue;
        };
        checker.length(
            &rules,
            rules.node.items().len(),
            (0, dialect.most_rules),
            "rules",
        );
        for rule in rules.items() {
            check_rule(&rule, direction, dialect, checker);
        }
    }
}

fn check_rule(
    rule: &Place<'_, '_, '_>,
    direction: Direction,
    dialect: &Dialect,
    checker: &mut Checker<'_, '_>,
) {
    if let Some(name) = rule.get("name") {
        let length = name.node.written().chars().count();
        checker.length(&name, length, (0, LONGEST_NAME), "characters");
    }
    if let Some(action) = rule.get("action") {
        check_action(&action, dialect, checker);
    }
    let peers = rule.get(direction.peers_key());
    if let Some(peers) = &peers {
        let count = peers.node.items().len();
        if peers.node.is_sequence() {
            checker.length(peers, count, (1, dialect.most_peers), "peers");
        }
        for peer in peers.items() {
            check_peer(&peer, rule, direction, dialect, checker);
        }
    }
    let Some(ports) = rule.get(dialect.ports_key) else {
        return;
    };
    if ports.node.is_sequence() {
        let count = ports.node.items().len();
        let bounds = (dialect.least_ports(), dialect.most_ports);
        checker.length(&ports, count, bounds, "ports");
    }
    for port in ports.items() {
        check_port(&port, dialect, checker);
        check_named_port(&port, peers.as_ref(), dialect, checker);
    }
}

fn check_action(action: &Place<'_, '_, '_>, dialect: &Dialect, checker: &mut Checker<'_, '_>) {
    let other_generation = match dialect.accept {
        "Accept" => "Allow",
        _ => "Accept",
    };
    let Some(text) = action.node.text() else {
        return;
    };
    let kind = checker.family().kind();
    let message = format!("`{}`: {} is not valid", action.at, action.node.describe());
    if text == other_generation {
        checker
            .error("unknown-value", action.value_extent(), message)
            .help(format!("in {kind} it is called `{}`", dialect.accept))
            .instead(Some(dialect.accept));
    } else if text == "Pass" && !dialect.actions.contains(&text) {
        checker
            .error("unknown-value", action.value_extent(), message)
            .help(format!(
                "there is nothing after {kind} that `Pass` could leave it to"
            ));
    } else {
        checker.one_of(action, dialect.actions);
    }
}

/// Checks a subject or a peer as far as it selects pods.
fn check_pods(
    place: &Place<'_, '_, '_>,
    fields: &[&'static str],
    empty_code: &'static str,
    checker: &mut Checker<'_, '_>,
) {
    checker.exactly_one(place, fields, empty_code);
    if let Some(namespaces) = place.get("namespaces") {
        selectors::check(&namespaces, checker);
    }
    if let Some(pods) = place.get("pods") {
        for key in ["namespaceSelector", "podSelector"] {
            if let Some(selector) = pods.get(key) {
                selectors::check(&selector, checker);
            }
        }
    }
}

fn check_peer(
    peer: &Place<'_, '_, '_>,
    rule: &Place<'_, '_, '_>,
    direction: Direction,
    dialect: &Dialect,
    checker: &mut Checker<'_, '_>,
) {
    check_pods(peer, dialect.peers(direction), "empty-peer", checker);
    if direction == Direction::Ingress {
        return;
    }
    if let Some(nodes) = peer.get("nodes") {
        selectors::check(&nodes, checker);
    }
    if let Some(networks) = peer.get("networks") {
        check_set(&networks, "networks", checker);
        for network in networks.items() {
            let length = network.node.written().len();
            if cidr::check(&network, checker).is_some() {
                checker.length(&network, length, (0, LONGEST_CIDR), "characters");
            }
        }
    }
    let Some(names) = peer.get("domainNames") else {
        return;
    };
    check_set(&names, "domain names", checker);
    for name in names.items() {
        checker.syntax(&name, "invalid-domain", names::domain);
    }
    if let Some(action) = rule.get("action")
        && action
            .node
            .text()
            .is_some_and(|text| dialect.actions.contains(&text) && text != dialect.accept)
    {
        let reported = checker.error(
            "domain-names-need-accept",
            names.key_or_head(),
            format!(
                "`{}`: domain names work only with `{}`",
                names.at, dialect.accept
            ),
        );
        reported.related(action.value_extent(), "the action is here");
    }
}

/// A list without repetitions, of bounded length.
fn check_set(list: &Place<'_, '_, '_>, what: &str, checker: &mut Checker<'_, '_>) {
    if !list.node.is_sequence() {
        return;
    }
    let count = list.node.items().len();
    checker.length(list, count, (1, MOST_NETWORKS), what);
    // It is refused already, and every item is compared with all before it.
    if count > MOST_NETWORKS {
        return;
    }
    for (index, item) in list.items().enumerate() {
        let text = item.node.written();
        let earlier = list
            .items()
            .take(index)
            .find(|earlier| earlier.node.written() == text);
        if let Some(earlier) = earlier {
            let reported = checker.error(
                "duplicate-item",
                item.value_extent(),
                format!("`{}`: {} is here twice", item.at, item.node.describe()),
            );
            reported.related(earlier.value_extent(), "first here");
        }
    }
}

fn check_port(port: &Place<'_, '_, '_>, dialect: &Dialect, checker: &mut Checker<'_, '_>) {
    checker.exactly_one(port, dialect.ports(), EMPTY);
    if let Some(name) = port.get(dialect.named_port()) {
        ports::check_loose_name(&name, checker);
    }
    match dialect.port_syntax {
        PortSyntax::Protocols => {
            for key in ["tcp", "udp", "sctp"] {
                if let Some(transport) = port.get(key) {
                    check_transport(&transport, checker);
                }
            }
        }
        PortSyntax::Ports => {
            if let Some(number) = port.get("portNumber") {
                if let Some(protocol) = number.get("protocol") {
                    ports::check_protocol(&protocol, checker);
                }
                if let Some(port) = number.get("port") {
                    ports::check_number(&port, checker);
                }
            }
            if let Some(range) = port.get("portRange") {
                if let Some(protocol) = range.get("protocol") {
                    ports::check_protocol(&protocol, checker);
                }
                check_range(&range, checker);
            }
        }
    }
}

fn check_transport(transport: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    let Some(port) = transport.get("destinationPort") else {
        checker.exactly_one(transport, &["destinationPort"], EMPTY);
        return;
    };
    checker.exactly_one(&port, &["number", "range"], EMPTY);
    if let Some(number) = port.get("number") {
        ports::check_number(&number, checker);
    }
    if let Some(range) = port.get("range") {
        check_range(&range, checker);
    }
}

fn check_range(range: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    let (Some(start), Some(end)) = (range.get("start"), range.get("end")) else {
        return;
    };
    let is_start_fine = ports::check_number(&start, checker);
    let is_end_fine = ports::check_number(&end, checker);
    if let (Some(first), Some(last)) = (start.node.whole(), end.node.whole())
        && is_start_fine
        && is_end_fine
        && first >= last
    {
        let reported = checker.error(
            "empty-range",
            end.value_extent(),
            format!(
                "`{}`: `end` must be more than `start`, which is {first}",
                range.at
            ),
        );
        reported.related(start.value_extent(), "the range begins here");
    }
}

/// A named port is looked up on pods, so a rule with one has only pods as peers.
fn check_named_port(
    port: &Place<'_, '_, '_>,
    peers: Option<&Place<'_, '_, '_>>,
    dialect: &Dialect,
    checker: &mut Checker<'_, '_>,
) {
    let Some(name) = port.get(dialect.named_port()) else {
        return;
    };
    for peer in peers.iter().flat_map(|peers| peers.items()) {
        for key in ["networks", "nodes", "domainNames"] {
            let Some(peer) = peer.get(key) else {
                continue;
            };
            let reported = checker.error(
                "named-port-without-pods",
                name.key_or_head(),
                format!("`{}`: there are no named ports on `{key}`", name.at),
            );
            reported
                .related(peer.key_or_head(), "this peer has none")
                .help("use a port number, or make two rules of it");
            return;
        }
    }
}
