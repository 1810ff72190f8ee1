//! What neighbours of a link tell each other over IPv6.

use std::net::{IpAddr, Ipv6Addr};

use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;

use super::base::{is_family, is_packet_protocol};
use crate::ruleset::{Field, Name, Operand, Rule, Statement, key};

/// The types of messages that hosts send: router and neighbour solicitations, neighbour
/// advertisements (RFC 4861, section 4). What routers send, advertisements and redirects, is
/// none of them: no pod is a router.
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// A multicast listener's report (RFC 3810), which comes before neighbour discovery.
const LISTENER_REPORT: u8 = 143;

/// Who is told of them: all routers of the link that can take such reports.
const LISTENERS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16));

/// How long a solicitation or an advertisement of a neighbour is, and how much an option of it
/// makes that longer (RFC 4861, sections 4.3, 4.4 and 4.6): one with a hardware address, or a
/// number by which who asks knows its own question (RFC 3971, section 5.3.2).
const LENGTH: u16 = 24;
const OPTION: u16 = 8;
const NONCE: u8 = 14;

/// A message of a type as only neighbours get it: one that has passed a router is not one (RFC
/// 4861, sections 6.1 and 7.1).
fn message(kind: u8) -> [Statement; 3] {
    messages(kind, kind)
}

fn messages(first: u8, last: u8) -> [Statement; 3] {
    [
        is_packet_protocol(Protocol::Icmp, IpFamily::V6),
        is_kind(first, last),
        Statement::Is(Field::HopLimit, key::bytes(&[u8::MAX])),
    ]
}

fn is_kind(first: u8, last: u8) -> Statement {
    let (first, last) = (key::bytes(&[first]), key::bytes(&[last]));
    Statement::InRange(Field::IcmpType, first, last)
}

/// A report of a listener. It goes to an address that nobody forwards (RFC 3810, section
/// 5.2.14).
fn report() -> [Statement; 3] {
    let to = Field::PacketDestination(IpFamily::V6);
    [
        is_packet_protocol(Protocol::Icmp, IpFamily::V6),
        Statement::Is(Field::IcmpType, key::bytes(&[LISTENER_REPORT])),
        Statement::Is(to, key::address(LISTENERS)),
    ]
}

/// All of it.
fn discoveries() -> [[Statement; 3]; 3] {
    [
        message(ROUTER_SOLICITATION),
        messages(NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT),
        report(),
    ]
}

/// Lets all of it pass to the node.
pub(super) fn to_node() -> Vec<Rule> {
    discoveries().map(passes).into()
}

/// Lets pass what pods of one bridge tell each other: none of them is a router.
pub(super) fn between_pods() -> Rule {
    passes(messages(NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT))
}

fn passes(discovery: [Statement; 3]) -> Rule {
    let family = std::iter::once(is_family(IpFamily::V6));
    Rule::new(family.chain(discovery).chain([Statement::accept()]))
}

/// Packets of a pod from addresses that are not its own. Neighbours are discovered from
/// link-local addresses, and from none.
pub(super) fn not_its_own() -> Vec<Rule> {
    let mut rules = Vec::new();
    let link_local = (
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)),
        IpAddr::V6(Ipv6Addr::new(
            0xfebf, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
        )),
    );
    let unspecified = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let source = Field::PacketSource(IpFamily::V6);
    for discovery in discoveries() {
        for (first, last) in [link_local, (unspecified, unspecified)] {
            let from = Statement::InRange(source, key::address(first), key::address(last));
            let family = std::iter::once(is_family(IpFamily::V6));
            let statements = family.chain(discovery.iter().cloned());
            rules.push(Rule::new(statements.chain([from, Statement::accept()])));
        }
    }
    rules.push(Rule::new([Statement::goto("forged")]));
    rules
}

/// What somebody says who has an address, or takes one: an advertisement, and the question from
/// no address whether somebody has it, which makes others give it up.
pub(super) fn claims() -> [Vec<Statement>; 2] {
    let from_nobody = message(NEIGHBOUR_SOLICITATION).into_iter();
    [
        message(NEIGHBOUR_ADVERTISEMENT).to_vec(),
        from_nobody.chain([is_from_nobody()]).collect(),
    ]
}

/// What is for routers: solicitations and listeners' reports.
pub(super) fn for_routers() -> [Rule; 2] {
    let accept =
        |statements: [Statement; 3]| Rule::new(statements.into_iter().chain([Statement::accept()]));
    [accept(message(ROUTER_SOLICITATION)), accept(report())]
}

/// What the port of a bridge may tell its neighbours: that it has its own addresses, at its own
/// hardware address, and no others. Who sends it is known by then. `denied` is the chain for
/// everything else of the kinds that others believe; what is of no such kind is left to others.
pub(super) fn of_itself(own: &Name, denied: &str) -> Vec<Rule> {
    let is_own = |hardware, address| {
        let of_port = [Field::Interface, hardware, address].map(Operand::Field);
        Statement::In(of_port.to_vec(), Name::clone(own))
    };
    let target_is_own = is_own(Field::HardwareSource, Field::NeighbourTarget);
    let of_target = is_own(Field::NeighbourHardware, Field::NeighbourTarget);
    let of_source = is_own(Field::NeighbourHardware, Field::PacketSource(IpFamily::V6));
    let has_nonce = Statement::Is(Field::NeighbourOption, key::bytes(&[NONCE, 1]));
    let asks = is_from_nobody();
    let [short, with_option] = [LENGTH, LENGTH + OPTION]
        .map(|length| Statement::Is(Field::PayloadLength, key::bytes(&length.to_be_bytes())));
    let (solicits, advertises) = (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT);
    let rule = |kind: u8, more: &[&Statement], then: Statement| {
        let more = more.iter().copied().cloned();
        Rule::new(message(kind).into_iter().chain(more).chain([then]))
    };
    let accept = Statement::accept;
    let deny = || Statement::goto(denied);
    vec![
        rule(solicits, &[&asks, &target_is_own, &short], accept()),
        rule(
            solicits,
            &[&asks, &target_is_own, &with_option, &has_nonce],
            accept(),
        ),
        // Who asks from no address for another's makes that one give it up.
        rule(solicits, &[&asks], deny()),
        rule(solicits, &[&short], accept()),
        rule(solicits, &[&with_option, &of_source], accept()),
        rule(advertises, &[&target_is_own, &short], accept()),
        rule(advertises, &[&with_option, &of_target], accept()),
        // Also one of which only a part has come, so that its target is not told.
        Rule::new([
            is_packet_protocol(Protocol::Icmp, IpFamily::V6),
            is_kind(solicits, advertises),
            deny(),
        ]),
    ]
}

fn is_from_nobody() -> Statement {
    let nobody = key::address(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    Statement::Is(Field::PacketSource(IpFamily::V6), nobody)
}
