use ipnet::IpNet;
use ringfence_model::address::{IpFamily, IpRangeSet, public_internet};
use ringfence_model::protocol::Protocol;

use super::proposed::{ProposedPolicy, block, egress, ports, selector, to};
use super::request::{BaselineError, PortRange, Request};
use crate::context::Context;

/// The addresses that a rule about the internet means.
#[derive(Clone, Debug)]
pub(super) struct PublicInternet {
    /// A block of each family that the cluster has, and what is taken out of it.
    blocks: Vec<(IpNet, Vec<IpNet>)>,
}

/// The block that the addresses of a family are taken out of. Of IPv6 only 2000::/3 is
/// given out; metadata and private networks lie elsewhere.
const ROOTS: [(IpFamily, &str); 2] = [(IpFamily::V4, "0.0.0.0/0"), (IpFamily::V6, "2000::/3")];

impl PublicInternet {
    /// What is public, without the ranges of pods and Services.
    pub(super) fn of(
        context: &Context<'_>,
        service_cidrs: &[IpNet],
    ) -> Result<Self, BaselineError> {
        let own: Vec<IpNet> = context
            .snapshot
            .pod_cidrs
            .iter()
            .chain(service_cidrs)
            .copied()
            .collect();
        let mut blocks = Vec::new();
        for (family, root) in ROOTS {
            if !families(context).contains(&family) {
                continue;
            }
            let Ok(root) = root.parse::<IpNet>() else {
                continue;
            };
            let all = IpRangeSet::from_nets(family, [&root]);
            let wanted = public_internet(family).difference(&IpRangeSet::from_nets(family, &own));
            if !wanted.is_empty() {
                blocks.push((root, all.difference(&wanted).to_nets()));
            }
        }
        if blocks.is_empty() {
            let shown: Vec<String> = own.iter().map(ToString::to_string).collect();
            return Err(BaselineError::NoInternet(shown.join(", ")));
        }
        Ok(Self { blocks })
    }

    /// The addresses of one family.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (IpFamily, IpRangeSet)> {
        self.blocks.iter().map(|(root, except)| {
            let family = IpFamily::of(root.addr());
            let all = IpRangeSet::from_nets(family, [root]);
            (
                family,
                all.difference(&IpRangeSet::from_nets(family, except)),
            )
        })
    }

    /// The policy for a namespace.
    pub(super) fn policy(&self, namespace: &str, request: &Request) -> ProposedPolicy {
        let peers = self.blocks.iter().map(|(root, except)| {
            let except = except.iter().map(ToString::to_string).collect();
            block(root, except)
        });
        let rule = to(
            peers.collect(),
            ports([PortRange {
                protocol: Protocol::Tcp,
                start: HTTPS,
                end: HTTPS,
            }]),
        );
        let who = super::who(&request.pods);
        let one_family = self.blocks.len() == 1;
        let proposed = ProposedPolicy::network(
            namespace,
            "allow-internet-https",
            &format!("{who} may connect to the public internet over HTTPS"),
            egress(selector(&request.pods), vec![rule]),
        )
        .saying(
            "Everything is left out that is not the public internet: cloud metadata, private and \
             link-local networks, and the ranges of pods and Services as far as they are known. \
             Another policy that allows more undoes that: policies add up.",
        )
        .ignoring(&["RF501 HTTPS to the internet was asked for, and nothing private is in it"]);
        match one_family {
            true => proposed.saying(
                "The other address family stays closed: an IPv4 block covers no IPv6 address, and \
                 the other way round.",
            ),
            false => proposed,
        }
    }
}

/// The port of HTTPS.
pub(super) const HTTPS: u16 = 443;

/// The families of the cluster.
pub(super) fn families(context: &Context<'_>) -> Vec<IpFamily> {
    let snapshot = context.snapshot;
    let pods = context.groups().iter().map(|g| snapshot.pod(g.first));
    let mut families: Vec<IpFamily> = pods
        .flat_map(|pod| snapshot.families_of(pod))
        .chain(snapshot.default_families.iter().copied())
        .collect();
    families.sort_unstable();
    families.dedup();
    families
}
