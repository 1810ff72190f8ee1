//! Services: the addresses of the cluster that no host has, translated on every node.
//!
//! As kube-proxy does it: the destination becomes one of the endpoints at random, before
//! the packet is routed and before any policy sees it.

use std::net::IpAddr;

use nix::libc::{IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP};
use nlink::netlink::nftables::{
    BaseChain, Chain, CmpOp, CtStatus, Expr, Family, FilterHook, IcmpxCode, NatHook, NumgenKind,
    PayloadBase, Priority, Register, Rule,
};
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{ServiceEndpoint, Snapshot};

use crate::error::LabError;
use crate::namespace::Namespace;

/// The table on every node; it is nobody else's.
pub const TABLE: &str = "ringfence-lab-services";

/// One port of one address of a Service, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The address that clients use.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port that clients use.
    pub port: u16,
    /// The endpoints of the same family, sorted.
    pub endpoints: Vec<(IpAddr, u16)>,
}

/// Everything that is translated, in the order of Services.
#[must_use]
pub fn translations(snapshot: &Snapshot) -> Vec<Translation> {
    let mut all = Vec::new();
    for (id, service) in snapshot.service_ids() {
        if service.headless {
            continue;
        }
        for port in &service.ports {
            let ends = snapshot.service_endpoints(id, port);
            for address in &service.cluster_ips {
                let family = IpFamily::of(*address);
                let mut endpoints: Vec<(IpAddr, u16)> = ends
                    .iter()
                    .filter_map(|end| match end {
                        ServiceEndpoint::Pod { pod, port, .. } => {
                            Some((snapshot.pod(*pod).address(family)?, *port))
                        }
                        ServiceEndpoint::Address { address, port } => Some((*address, *port)),
                    })
                    .filter(|(address, _)| IpFamily::of(*address) == family)
                    .collect();
                endpoints.sort_unstable();
                endpoints.dedup();
                all.push(Translation {
                    address: *address,
                    protocol: port.protocol,
                    port: port.port,
                    endpoints,
                });
            }
        }
    }
    all
}

/// Writes the table of a node, in the place of the one that is there.
///
/// # Errors
/// If the kernel refuses it.
pub async fn install(node: &Namespace, snapshot: &Snapshot) -> Result<(), LabError> {
    let connection = node.nftables()?;
    let refused = |error| LabError::kernel(node.name(), TABLE, error);
    let base = |name: &str, base: BaseChain| {
        let chain = Chain::new(TABLE, name).map_err(refused)?;
        Ok::<_, LabError>(chain.family(Family::Inet).base(base))
    };
    let tables = connection.list_tables_in(Family::Inet).await;
    let is_there = tables.map_err(refused)?.iter().any(|t| t.name == TABLE);
    let mut batch = connection.transaction();
    if is_there {
        batch = batch.del_table(TABLE, Family::Inet);
    }
    batch = batch.add_table(TABLE, Family::Inet);
    let arriving = BaseChain::nat(NatHook::Prerouting, Priority::DstNat);
    let sent = BaseChain::nat(NatHook::Output, Priority::DstNat);
    let leaving = BaseChain::nat(NatHook::Postrouting, Priority::SrcNat);
    let through = BaseChain::filter(FilterHook::Forward, Priority::Custom(10));
    batch = batch
        .add_chain(base("arriving", arriving)?)
        .add_chain(base("sent", sent)?)
        .add_chain(base("leaving", leaving)?)
        .add_chain(base("through", through)?);
    let mut addresses = Vec::new();
    let mut ends = Vec::new();
    for translation in translations(snapshot) {
        for chain in ["arriving", "sent"] {
            for rule in rules(chain, &translation) {
                batch = batch.add_rule(rule);
            }
        }
        addresses.push(translation.address);
        ends.extend(translation.endpoints.iter().map(|(address, _)| *address));
    }
    ends.sort_unstable();
    ends.dedup();
    for end in ends {
        // A pod that reaches itself through a Service would not know its own answer.
        let rule = Rule::new(TABLE, "leaving")
            .family(Family::Inet)
            .match_saddr(end, full_length(end))
            .match_daddr(end, full_length(end))
            .match_ct_status(CtStatus::DST_NAT)
            .masquerade();
        batch = batch.add_rule(rule);
    }
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        // What still has the address of a Service leads nowhere.
        let rule = Rule::new(TABLE, "through")
            .family(Family::Inet)
            .match_daddr(address, full_length(address))
            .reject_icmpx(IcmpxCode::PortUnreachable);
        batch = batch.add_rule(rule);
    }
    batch.commit(&connection).await.map_err(refused)
}

/// A rule for each endpoint but the last takes its share of the connections that came so
/// far; the last one takes what is left.
fn rules(chain: &str, translation: &Translation) -> Vec<Rule> {
    let number = match translation.protocol {
        Protocol::Tcp => IPPROTO_TCP,
        Protocol::Udp => IPPROTO_UDP,
        Protocol::Sctp => IPPROTO_SCTP,
        Protocol::Icmp => return Vec::new(),
    };
    let number = u8::try_from(number).unwrap_or_default();
    let count = translation.endpoints.len();
    let mut rules = Vec::with_capacity(count);
    for (position, (address, port)) in translation.endpoints.iter().enumerate() {
        let mut rule = Rule::new(TABLE, chain)
            .family(Family::Inet)
            .match_daddr(translation.address, full_length(translation.address))
            .match_l4proto(number)
            .expr(Expr::Payload {
                dreg: Register::R0,
                base: PayloadBase::Transport,
                offset: 2,
                len: 2,
            })
            .expr(Expr::Cmp {
                sreg: Register::R0,
                op: CmpOp::Eq,
                data: translation.port.to_be_bytes().to_vec(),
            });
        let left = u32::try_from(count - position).unwrap_or(1);
        if left > 1 {
            rule = rule
                .expr(Expr::Numgen {
                    dreg: Register::R0,
                    kind: NumgenKind::Random,
                    modulus: left,
                    offset: 0,
                })
                .expr(Expr::Cmp {
                    sreg: Register::R0,
                    op: CmpOp::Eq,
                    data: 0u32.to_ne_bytes().to_vec(),
                });
        }
        rules.push(match address {
            IpAddr::V4(v4) => rule.dnat(*v4, Some(*port)),
            IpAddr::V6(v6) => rule.dnat_v6(*v6, Some(*port)),
        });
    }
    rules
}

fn full_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
