//! What neighbours of a link tell each other over IPv6.

use std::net::{IpAddr, Ipv6Addr};

use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;

use super::base::{is_family, is_packet_protocol};
use crate::ruleset::{Field, Name, Operand, Rule, Statement, key};

/// The types of messages that hosts send: router and neighbour solicitations, neighbour
/// advertisements (RFC 4861, section 4). What routers send, advertisements and redirects, is
/// none of them: no pod is a router.
pub(super) const ROUTER_SOLICITATION: u8 = 133;
pub(super) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(super) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// A multicast listener's report (RFC 3810), which comes before neighbour discovery.
const LISTENER_REPORT: u8 = 143;

/// Who is told of them: all routers of the link that can take such reports.
const LISTENERS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16));

/// A message of a type, or of several that follow each other, as only neighbours get it: one
/// that has passed a router is not one (RFC 4861, sections 6.1 and 7.1).
pub(super) fn message(first: u8, last: u8) -> [Statement; 3] {
    [
        is_packet_protocol(Protocol::Icmp, IpFamily::V6),
        Statement::InRange(Field::IcmpType, key::bytes(&[first]), key::bytes(&[last])),
        Statement::Is(Field::HopLimit, key::bytes(&[u8::MAX])),
    ]
}

/// A report of a listener. It goes to an address that nobody forwards (RFC 3810, section
/// 5.2.14).
pub(super) fn report() -> [Statement; 3] {
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
        message(ROUTER_SOLICITATION, ROUTER_SOLICITATION),
        message(NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT),
        report(),
    ]
}

/// Lets all of it pass.
pub(super) fn neighbour_discovery() -> Vec<Rule> {
    let all = discoveries().into_iter();
    all.map(|discovery| {
        let family = std::iter::once(is_family(IpFamily::V6));
        Rule::new(family.chain(discovery).chain([Statement::accept()]))
    })
    .collect()
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

/// What the port of a bridge may tell its neighbours: that it has its own addresses, and no
/// others. Who sends it is known by then. `denied` is the chain for everything else of the
/// kinds that others believe; what is of no such kind is left to others.
pub(super) fn own_discovery(own: &Name, denied: &str) -> Vec<Rule> {
    let unspecified = key::address(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let from_none = Statement::Is(Field::PacketSource(IpFamily::V6), unspecified);
    let target = [
        Operand::Field(Field::Interface),
        Operand::Field(Field::HardwareSource),
        Operand::Field(Field::NeighbourTarget),
    ];
    let target_is_own = Statement::In(target.to_vec(), Name::clone(own));
    let one = |kind| message(kind, kind).to_vec();
    let rule = |message: Vec<Statement>, more: &[&Statement], then| {
        let more = more.iter().copied().cloned();
        Rule::new(message.into_iter().chain(more).chain([then]))
    };
    let accept = Statement::accept;
    let [icmp, kinds, _] = message(NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT);
    vec![
        // Who asks from no address whether somebody has one makes others give it up.
        rule(
            one(NEIGHBOUR_SOLICITATION),
            &[&from_none, &target_is_own],
            accept(),
        ),
        rule(
            one(NEIGHBOUR_SOLICITATION),
            &[&from_none],
            Statement::goto(denied),
        ),
        rule(one(NEIGHBOUR_SOLICITATION), &[], accept()),
        rule(one(NEIGHBOUR_ADVERTISEMENT), &[&target_is_own], accept()),
        // Also one of which only a part has come, so that its target is not told.
        Rule::new([icmp, kinds, Statement::goto(denied)]),
        rule(one(ROUTER_SOLICITATION), &[], accept()),
        rule(report().to_vec(), &[], accept()),
    ]
}
