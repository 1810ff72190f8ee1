//! The chains that judge one side of the connections of some pods.

use ringfence_engine::sets::PortSet;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;

use super::node::Settings;
use super::ports;
use super::{direction_index, named};
use crate::ruleset::{Chain, Field, Name, Operand, Rule, Ruleset, Statement, Target, key};

/// What a chain judges: where it finds who opens what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Connections, by any of their packets.
    Connection,
    /// Connections by where they were opened to, before translation.
    FirstDestination,
    /// Single packets on the way to this node itself.
    Packet,
}

impl Flow {
    pub(super) fn source(self, family: IpFamily) -> Field {
        match self {
            Self::Connection | Self::FirstDestination => Field::Source(family),
            Self::Packet => Field::PacketSource(family),
        }
    }

    pub(super) fn destination(self, family: IpFamily) -> Field {
        match self {
            Self::Connection => Field::Destination(family),
            Self::FirstDestination => Field::FirstDestination(family),
            Self::Packet => Field::PacketDestination(family),
        }
    }

    pub(super) fn protocol(self) -> Field {
        match self {
            Self::Connection | Self::FirstDestination => Field::Protocol,
            Self::Packet => Field::PacketProtocol,
        }
    }

    pub(super) fn port(self) -> Field {
        match self {
            Self::Connection => Field::Port,
            Self::FirstDestination => Field::FirstPort,
            Self::Packet => Field::PacketPort,
        }
    }
}

/// What one side of the connections of some pods is judged by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    /// Sets of peers and what they get.
    pub(super) groups: Vec<Group>,
    /// What everybody else gets.
    pub(super) others: PortSet,
}

/// A set of peers, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) ports: PortSet,
    /// Its number.
    pub(super) peer_set: u32,
    /// Whether there are pods in it.
    pub(super) has_pods: bool,
    /// Whether there are addresses in it that are no pods'.
    pub(super) has_blocks: bool,
}

/// Who a chain belongs to: the pods that are judged by it.
#[derive(Clone, Debug)]
pub(super) struct ChainOwners {
    pub(super) direction: Direction,
    pub(super) family: IpFamily,
    pub(super) number: u32,
}

impl ChainOwners {
    /// The name of the chain for a flow.
    pub(super) fn name(&self, flow: Flow) -> Name {
        let word = match (flow, self.direction) {
            (Flow::Connection, Direction::Egress) => "egress",
            (Flow::Connection, Direction::Ingress) => "ingress",
            (Flow::FirstDestination, _) => "first",
            (Flow::Packet, _) => "node",
        };
        Name::from(format!("{}_{}", named(word, self.family), self.number))
    }

    /// Writes the chain for a flow, and the one that denies what it does not allow.
    pub(super) fn write(
        &self,
        flow: Flow,
        content: &Content,
        settings: &Settings,
        ruleset: &mut Ruleset,
    ) {
        let name = self.name(flow);
        let denied = Name::from(format!("{name}_denied"));
        let mut rules = Vec::new();
        for group in &content.groups {
            for peers in self.peers(flow, group) {
                for mut statements in ports::matches(&group.ports, flow, self.family, ruleset) {
                    statements.extend(peers.iter().cloned());
                    statements.push(Statement::Go(Target::Return));
                    rules.push(Rule::new(statements));
                }
                // What others get is not for these.
                if !content.others.is_empty() && !group.ports.is_all() {
                    let deny = Statement::goto(Name::clone(&denied));
                    rules.push(Rule::new(peers.into_iter().chain([deny])));
                }
            }
        }
        for mut statements in ports::matches(&content.others, flow, self.family, ruleset) {
            statements.push(Statement::Go(Target::Return));
            rules.push(Rule::new(statements));
        }
        if !content.others.is_all() {
            rules.push(Rule::new([Statement::goto(Name::clone(&denied))]));
        }
        ruleset
            .chains
            .insert(Name::clone(&name), Chain { hook: None, rules });
        let rules = denial(&name, self.own(flow), self.direction, self.family, settings);
        ruleset.chains.insert(denied, Chain { hook: None, rules });
    }

    /// The end that the chain is about.
    fn own(&self, flow: Flow) -> Field {
        match self.direction {
            Direction::Egress => flow.source(self.family),
            Direction::Ingress => flow.destination(self.family),
        }
    }

    /// The ways to match a group of peers, one rule for each.
    fn peers(&self, flow: Flow, group: &Group) -> Vec<Vec<Statement>> {
        let other = match self.direction {
            Direction::Egress => flow.destination(self.family),
            Direction::Ingress => flow.source(self.family),
        };
        let number = Operand::Constant(key::peer_set(group.peer_set));
        let mut ways = Vec::new();
        if group.has_pods {
            let operands = vec![number.clone(), Operand::Field(other)];
            ways.push(vec![Statement::In(operands, named("peers", self.family))]);
        }
        if group.has_blocks {
            // A pod is judged as the pod it is, whatever blocks its address is in.
            let no_pod = Statement::NotIn(vec![Operand::Field(other)], named("pods", self.family));
            let piece = Operand::Mapped(other, named("pieces", self.family));
            let in_block = Statement::In(vec![number, piece], named("blocks", self.family));
            ways.push(vec![no_pod, in_block]);
        }
        ways
    }
}

/// The rules at the end of a chain: audit or deny, and say so.
pub(super) fn denial(
    chain: &str,
    own: Field,
    direction: Direction,
    family: IpFamily,
    settings: &Settings,
) -> Vec<Rule> {
    let audited = Statement::In(vec![Operand::Field(own)], named("audited", family));
    let seldom = Statement::Below {
        key: own,
        set: named(
            ["logged_egress", "logged_ingress"]
                .get(direction_index(direction))
                .unwrap_or(&"logged"),
            family,
        ),
        per_second: settings.log_rate,
        burst: settings.log_burst,
    };
    let log = |what: &str| Statement::Log {
        group: settings.log_group,
        prefix: format!("ringfence {what} {chain}"),
    };
    vec![
        Rule::new([audited.clone(), seldom.clone(), log("audit")]),
        Rule::new([audited, Statement::Count, Statement::Go(Target::Return)]),
        Rule::new([seldom, log("deny")]),
        Rule::new([Statement::Count, Statement::Go(Target::Drop)]),
    ]
}
