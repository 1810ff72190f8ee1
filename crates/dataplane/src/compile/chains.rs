//! The chains that judge one side of the connections of some pods.

use ringfence_engine::sets::PortSet;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;

use super::named;
use super::node::{Enforcement, Settings};
use super::ports::{self, PortSets};
use crate::ruleset::{Edit, Field, Name, Operand, Rule, Statement, Target, key};

/// What a chain judges: where it finds who opens what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Connections, by any of their packets.
    Connection,
    /// Connections by where they were opened to, before translation.
    FirstDestination,
    /// Single packets on the way to this node itself, where connections are not tracked.
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    /// Sets of peers and what they get, in the order of what they get.
    pub(super) groups: Vec<Group>,
    /// What everybody else gets.
    pub(super) others: PortSet,
    /// What connections that were translated on their way to a metadata service need.
    pub(super) metadata: Needed,
}

/// A set of peers, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) ports: PortSet,
    /// Its number.
    pub(super) peer_set: u32,
    /// Whether there are pods in it.
    pub(super) has_pods: bool,
    /// Whether there are addresses in it that are no pods'.
    pub(super) has_blocks: bool,
}

/// What a flow needs to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Needed {
    /// Nothing is denied.
    Nothing,
    /// Everything is.
    Denial,
    /// It depends.
    Chain,
}

/// One side of connections in a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half {
    pub(super) direction: Direction,
    pub(super) family: IpFamily,
}

impl Half {
    /// The flows that are judged on this side.
    pub(super) fn flows(self) -> &'static [Flow] {
        match self.direction {
            Direction::Egress => &[Flow::Connection, Flow::FirstDestination, Flow::Packet],
            Direction::Ingress => &[Flow::Connection],
        }
    }

    /// The name of the map from addresses of pods to numbers of chains, and the first
    /// word of the chains' names.
    pub(super) fn map(self, flow: Flow) -> Name {
        let word = match (flow, self.direction) {
            (Flow::Connection, Direction::Egress) => "egress",
            (Flow::Connection, Direction::Ingress) => "ingress",
            (Flow::FirstDestination, _) => "first",
            (Flow::Packet, _) => "node",
        };
        named(word, self.family)
    }

    /// The rules of the chain for a flow.
    pub(super) fn rules(
        self,
        flow: Flow,
        content: &Content,
        sets: &mut PortSets,
        edit: &mut Edit<'_>,
    ) -> Vec<Rule> {
        let denied = denied(flow, self.direction, self.family);
        let mut rules = Vec::new();
        for group in &content.groups {
            for peers in self.peers(flow, group) {
                for mut statements in ports::matches(&group.ports, flow, self.family, sets, edit) {
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
        for mut statements in ports::matches(&content.others, flow, self.family, sets, edit) {
            statements.push(Statement::Go(Target::Return));
            rules.push(Rule::new(statements));
        }
        if !content.others.is_all() {
            rules.push(Rule::new([Statement::goto(denied)]));
        }
        rules
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

/// The chain that denies what no policy allows, or only audits it, and says so.
pub(super) fn denied(flow: Flow, direction: Direction, family: IpFamily) -> Name {
    told_by(Enforcement::Enforce, flow, direction, family)
}

fn told_by(enforcement: Enforcement, flow: Flow, direction: Direction, family: IpFamily) -> Name {
    let what = match enforcement {
        Enforcement::Enforce => "denied",
        Enforcement::Audit => "audited",
    };
    let name = match flow {
        Flow::Packet => format!("{what}_node"),
        _ => format!("{what}_{direction}"),
    };
    named(&name, family)
}

/// The set that remembers how often denials of a direction's pods were told.
pub(crate) fn logged(direction: Direction, family: IpFamily) -> Name {
    named(&format!("logged_{direction}"), family)
}

/// The same for what is denied because of no pod's policies, by the interface that it came in
/// by. Addresses are no key for those: whoever forges them has as many as there are, and a set
/// that is full remembers nobody else.
pub(crate) const LOGGED_INTERFACES: &str = "logged_interfaces";

/// The same for frames, by the port of the bridge that they came in by.
pub(crate) const LOGGED_PORTS: &str = "logged_ports";

/// [`denied`] with its rules, and the chain of those that are audited.
pub(super) fn denial(
    flow: Flow,
    direction: Direction,
    family: IpFamily,
    settings: &Settings,
) -> [(Name, Vec<Rule>); 2] {
    let own = match direction {
        Direction::Egress => flow.source(family),
        Direction::Ingress => flow.destination(family),
    };
    let audit = told_by(Enforcement::Audit, flow, direction, family);
    let rules = |what: &str, target| {
        let set = logged(direction, family);
        told(own, &set, &format!("{what} {direction}"), target, settings)
    };
    let mut deny = vec![Rule::new([
        Statement::In(vec![Operand::Field(own)], named("audited", family)),
        Statement::goto(Name::clone(&audit)),
    ])];
    deny.extend(rules("deny", Target::Drop));
    let audited = rules("audit", Target::Return);
    [(denied(flow, direction, family), deny), (audit, audited)]
}

/// Tells what is denied, at a limited rate for each key, and lets it go where it is to go.
///
/// Of a connection that is no longer allowed it may be a reply that meets this: that is told
/// as well, because the ends of the packet are not those of the connection then.
pub(super) fn told(
    own: Field,
    set: &Name,
    prefix: &str,
    target: Target,
    settings: &Settings,
) -> Vec<Rule> {
    let is_reply = Statement::Is(Field::Direction, key::bytes(&[1]));
    let told = [
        vec![above(own, set, settings)],
        vec![is_reply, log(&format!("{prefix} reply"), settings)],
        vec![log(prefix, settings)],
    ];
    let go = [Statement::Count, Statement::Go(target)];
    told.into_iter()
        .map(|told| Rule::new(told.into_iter().chain(go.clone())))
        .collect()
}

/// Tells what is denied whatever its connection is, at a limited rate for each interface.
pub(super) fn told_alone(
    set: &Name,
    prefix: &str,
    target: &Target,
    settings: &Settings,
) -> Vec<Rule> {
    let told = [
        above(Field::Interface, set, settings),
        log(prefix, settings),
    ];
    let go = [Statement::Count, Statement::Go(target.clone())];
    told.into_iter()
        .map(|told| Rule::new(std::iter::once(told).chain(go.clone())))
        .collect()
}

fn above(own: Field, set: &Name, settings: &Settings) -> Statement {
    Statement::Above {
        key: own,
        set: Name::clone(set),
        per_second: settings.log_rate,
        burst: settings.log_burst,
    }
}

fn log(prefix: &str, settings: &Settings) -> Statement {
    Statement::Log {
        group: settings.log_group,
        prefix: format!("ringfence {prefix}"),
    }
}
