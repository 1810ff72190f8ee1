//! What translates on a node, as an nftables table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::libc::{IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP};
use nlink::netlink::nftables::{
    BaseChain, Chain, ChainName, CmpOp, CtStatus, Expr, Family, FilterHook, IcmpxCode, NatHook,
    NumgenKind, PayloadBase, Priority, Register, Rule,
};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Snapshot;

use super::ways::{Endpoint, Entry, Origin, Way, ways};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::topology::{UPLINK, full_length};

/// The table on every node; it is nobody else's.
pub const TABLE: &str = "ringfence-lab-services";

/// The mark of packets that leave with the address of the node: that of kube-proxy.
const HIDDEN: u32 = 0x4000;

/// Where destinations are translated: what arrives, and what the node itself sends.
const ARRIVING: &str = "arriving";
const SENT: &str = "sent";
/// Where sources are.
const LEAVING: &str = "leaving";
/// Where what leads nowhere is refused: on its way through, to the node, and from it.
const THROUGH: &str = "through";
const HERE: &str = "here";
const REFUSING: [(&str, FilterHook); 3] = [
    (THROUGH, FilterHook::Forward),
    (HERE, FilterHook::Input),
    ("own", FilterHook::Output),
];

/// Writes the table of a node, in the place of the one that is there.
///
/// # Errors
/// If the kernel refuses it.
pub async fn install(node: &Namespace, snapshot: &Snapshot) -> Result<(), LabError> {
    let connection = node.nftables()?;
    let refused = |error| LabError::kernel(node.name(), TABLE, error);
    let chain = |name: &str| {
        let chain = Chain::new(TABLE, name).map_err(refused)?;
        Ok::<_, LabError>(chain.family(Family::Inet))
    };
    let tables = connection.list_tables_in(Family::Inet).await;
    let is_there = tables.map_err(refused)?.iter().any(|t| t.name == TABLE);
    let mut batch = connection.transaction();
    if is_there {
        batch = batch.del_table(TABLE, Family::Inet);
    }
    batch = batch.add_table(TABLE, Family::Inet);
    for (name, hook, priority) in [
        (ARRIVING, NatHook::Prerouting, Priority::DstNat),
        (SENT, NatHook::Output, Priority::DstNat),
        (LEAVING, NatHook::Postrouting, Priority::SrcNat),
    ] {
        batch = batch.add_chain(chain(name)?.base(BaseChain::nat(hook, priority)));
    }
    for (name, hook) in REFUSING {
        let base = BaseChain::filter(hook, Priority::Custom(10));
        batch = batch.add_chain(chain(name)?.base(base));
    }
    let mut table = Rules::default();
    for way in ways(snapshot, Some(node.name())) {
        table.add(&way).map_err(refused)?;
    }
    for name in table.choices.values() {
        batch = batch.add_chain(chain(name.as_str())?);
    }
    for rule in table.finish() {
        batch = batch.add_rule(rule);
    }
    batch.commit(&connection).await.map_err(refused)
}

/// The rules of a node.
#[derive(Default)]
struct Rules {
    /// By endpoints, the chains that choose one.
    choices: BTreeMap<Vec<(IpAddr, u16)>, ChainName>,
    rules: Vec<Rule>,
    /// Addresses of Services, and of endpoints.
    addresses: Vec<IpAddr>,
    ends: Vec<IpAddr>,
}

impl Rules {
    fn add(&mut self, way: &Way) -> nlink::Result<()> {
        let Some(protocol) = number(way.protocol) else {
            return Ok(());
        };
        self.ends
            .extend(way.endpoints.iter().map(|end| end.address));
        if way.entry == Entry::ClusterAddress {
            self.addresses.push(way.address);
        } else if way.endpoints.is_empty() {
            for (chain, _) in REFUSING {
                let rule = matching(chain, way, protocol);
                self.rules
                    .push(rule.reject_icmpx(IcmpxCode::PortUnreachable));
            }
            return Ok(());
        }
        let fate = |from| (way.endpoints_for(from), way.hides(from));
        let all_alike = fate(Origin::OwnPod) == fate(Origin::Elsewhere);
        for from in Origin::ALL {
            let (ends, hides) = fate(from);
            if ends.is_empty() {
                // There are some, and they are on other nodes.
                if way.entry != Entry::ClusterAddress {
                    for chain in [THROUGH, HERE] {
                        let rule = matching(chain, way, protocol);
                        self.rules.push(rule.match_iif(UPLINK).drop());
                    }
                }
                continue;
            }
            let chain = match from {
                Origin::OwnPod | Origin::Elsewhere => ARRIVING,
                Origin::Node => SENT,
            };
            let mut rule = matching(chain, way, protocol);
            rule = match from {
                Origin::Node => rule,
                Origin::OwnPod if all_alike => rule,
                Origin::Elsewhere if all_alike => continue,
                Origin::OwnPod => rule.match_iif_not(UPLINK),
                Origin::Elsewhere => rule.match_iif(UPLINK),
            };
            if hides {
                rule = rule.set_mark(HIDDEN);
            }
            let choice = self.choice(&ends)?;
            self.rules.push(rule.goto(choice));
        }
        Ok(())
    }

    /// The chain that leads to one of these at random: a rule for each but the last takes
    /// its share of the connections that came so far; the last one takes what is left.
    fn choice(&mut self, ends: &[&Endpoint]) -> nlink::Result<ChainName> {
        let key: Vec<(IpAddr, u16)> = ends.iter().map(|end| (end.address, end.port)).collect();
        if let Some(known) = self.choices.get(&key) {
            return Ok(known.clone());
        }
        let name = ChainName::new(format!("one-of-{}", self.choices.len()))?;
        for (position, (address, port)) in key.iter().enumerate() {
            let mut rule = Rule::new(TABLE, name.as_str()).family(Family::Inet);
            let left = u32::try_from(key.len() - position).unwrap_or(1);
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
            self.rules.push(match address {
                IpAddr::V4(v4) => rule.dnat(*v4, Some(*port)),
                IpAddr::V6(v6) => rule.dnat_v6(*v6, Some(*port)),
            });
        }
        self.choices.insert(key, name.clone());
        Ok(name)
    }

    /// All rules, with those that are about addresses alone.
    fn finish(mut self) -> Vec<Rule> {
        for list in [&mut self.ends, &mut self.addresses] {
            list.sort_unstable();
            list.dedup();
        }
        let hidden = Rule::new(TABLE, LEAVING).family(Family::Inet);
        self.rules.push(hidden.match_mark(HIDDEN).masquerade());
        for end in self.ends {
            // A pod that reaches itself through a Service would not know its own answer.
            let rule = Rule::new(TABLE, LEAVING)
                .family(Family::Inet)
                .match_saddr(end, full_length(end))
                .match_daddr(end, full_length(end))
                .match_ct_status(CtStatus::DST_NAT)
                .masquerade();
            self.rules.push(rule);
        }
        for address in self.addresses {
            // What still has the address of a Service leads nowhere.
            for (chain, _) in REFUSING {
                let rule = Rule::new(TABLE, chain)
                    .family(Family::Inet)
                    .match_daddr(address, full_length(address))
                    .reject_icmpx(IcmpxCode::PortUnreachable);
                self.rules.push(rule);
            }
        }
        self.rules
    }
}

/// A rule for what is sent to this address and port.
fn matching(chain: &str, way: &Way, protocol: u8) -> Rule {
    Rule::new(TABLE, chain)
        .family(Family::Inet)
        .match_daddr(way.address, full_length(way.address))
        .match_l4proto(protocol)
        .expr(Expr::Payload {
            dreg: Register::R0,
            base: PayloadBase::Transport,
            offset: 2,
            len: 2,
        })
        .expr(Expr::Cmp {
            sreg: Register::R0,
            op: CmpOp::Eq,
            data: way.port.to_be_bytes().to_vec(),
        })
}

fn number(protocol: Protocol) -> Option<u8> {
    let number = match protocol {
        Protocol::Tcp => IPPROTO_TCP,
        Protocol::Udp => IPPROTO_UDP,
        Protocol::Sctp => IPPROTO_SCTP,
        Protocol::Icmp => return None,
    };
    u8::try_from(number).ok()
}
