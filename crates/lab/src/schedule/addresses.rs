//! Who gets which address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_model::address::{IpFamily, from_number, to_number};
use ringfence_model::metadata;
use ringfence_model::snapshot::{Snapshot, assignable_addresses};

use super::ScheduleError;
use super::objects::hash;
use super::placement::Placement;
use crate::world;

/// The ranges of clusters whose manifests name none.
const POD_RANGES: [&str; 2] = ["10.244.0.0/16", "fd00:10:244::/56"];
const NODE_RANGES: [&str; 2] = ["172.18.0.0/24", "fd00:172:18::/120"];
const SERVICE_RANGES: [&str; 2] = ["10.96.0.0/16", "fd00:10:96::/112"];

/// The ports that API servers give out.
const NODE_PORTS: (u16, u16) = (30_000, 32_767);

/// How many addresses of one range are looked at for a free one.
const MOST_TRIED: u128 = 1 << 17;

/// All addresses of the cluster, given out one by one.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) families: Vec<IpFamily>,
    pod_ranges: Vec<IpNet>,
    /// Given out, or somebody else's.
    used: BTreeSet<IpAddr>,
    /// The same of ports of nodes.
    node_ports: BTreeSet<u16>,
}

impl Addresses {
    /// Keeps clear of every address that the snapshot, the lab's world, or somebody who runs
    /// already has.
    pub(super) fn new(
        families: &[IpFamily],
        snapshot: &Snapshot,
        pod_cidrs: &[IpNet],
        placed: &Placement,
    ) -> Self {
        let mut used: BTreeSet<IpAddr> = world::named_addresses().collect();
        used.extend(metadata::ENDPOINTS.iter().map(|endpoint| endpoint.address));
        used.extend(snapshot.pods.iter().flat_map(|pod| pod.addresses.clone()));
        used.extend(snapshot.node_addresses());
        used.extend(placed.addresses());
        for service in &snapshot.services {
            used.extend(&service.cluster_ips);
            used.extend(&service.external_addresses);
        }
        let slices = snapshot.endpoint_slices.iter();
        used.extend(slices.flat_map(|slice| slice.addresses.iter().map(|a| a.address)));
        let pod_ranges = families.iter().flat_map(|family| {
            let written: Vec<IpNet> = pod_cidrs
                .iter()
                .map(IpNet::trunc)
                .filter(|net| IpFamily::of(net.addr()) == *family)
                .collect();
            match written.is_empty() {
                true => standard(POD_RANGES, *family),
                false => written,
            }
        });
        let ports = snapshot.services.iter().flat_map(|service| &service.ports);
        Self {
            families: families.to_vec(),
            pod_ranges: pod_ranges.collect(),
            used,
            node_ports: ports.filter_map(|port| port.node_port).collect(),
        }
    }

    /// Whether a pod or a node of the lab can have this address.
    pub(super) fn is_usable(&self, address: IpAddr) -> bool {
        self.families.contains(&IpFamily::of(address))
            && assignable_addresses(IpFamily::of(address)).contains(address)
            && !world::named_addresses().any(|other| other == address)
    }

    /// The ranges of pods cut into as many equal parts as there are nodes; `None` where
    /// they are too small for that. The parts of one node are together.
    pub(super) fn shares(&self, nodes: usize, pods_a_node: usize) -> Option<Vec<Vec<IpNet>>> {
        let mut shares = vec![Vec::new(); nodes];
        for family in &self.families {
            // Several ranges of one family are shared out by their first one.
            let mut ranges = self.pod_ranges.iter();
            let range = ranges.find(|net| IpFamily::of(net.addr()) == *family)?;
            let wanted = match family {
                IpFamily::V4 => 24,
                IpFamily::V6 => 64,
            };
            let bits = |number: usize| u8::try_from(number.next_power_of_two().trailing_zeros());
            // The first and the last are the network's and its broadcast address, the
            // second is the gateway's.
            let largest = range
                .max_prefix_len()
                .checked_sub(bits(pods_a_node + 3).ok()?)?;
            let smallest = range.prefix_len() + bits(nodes).ok()?;
            let length = smallest.max(largest.min(wanted));
            if length > largest {
                return None;
            }
            let mut parts = range.subnets(length).ok()?;
            for share in &mut shares {
                share.push(parts.next()?);
            }
        }
        Some(shares)
    }

    /// An address for a pod: of its node's ranges if one is left there.
    pub(super) fn for_pod(
        &mut self,
        family: IpFamily,
        node_ranges: &[IpNet],
        name: &str,
    ) -> Result<IpAddr, ScheduleError> {
        let own = node_ranges.iter().copied();
        let all: Vec<IpNet> = own.chain(self.pod_ranges.clone()).collect();
        self.first_free(family, &all, name)
    }

    pub(super) fn for_node(
        &mut self,
        family: IpFamily,
        name: &str,
    ) -> Result<IpAddr, ScheduleError> {
        self.first_free(family, &standard(NODE_RANGES, family), name)
    }

    pub(super) fn for_service(
        &mut self,
        family: IpFamily,
        name: &str,
    ) -> Result<IpAddr, ScheduleError> {
        self.first_free(family, &standard(SERVICE_RANGES, family), name)
    }

    /// A port of every node, the same for the same Service whatever else there is, unless
    /// another has it; `None` where all are given out.
    pub(super) fn for_node_port(&mut self, what: &str) -> Option<u16> {
        let (first, last) = NODE_PORTS;
        let count = u64::from(last - first) + 1;
        let begin = hash(what) % count;
        let ports = (0..count).filter_map(|step| {
            let offset = u16::try_from((begin + step) % count).ok()?;
            first.checked_add(offset)
        });
        let mut ports = ports.filter(|port| !self.node_ports.contains(port));
        let port = ports.next()?;
        self.node_ports.insert(port);
        Some(port)
    }

    /// Where the API server answers: an address of the nodes' network.
    pub(super) fn for_api_server(&mut self) -> Result<Vec<IpAddr>, ScheduleError> {
        let families = self.families.clone();
        families
            .into_iter()
            .map(|family| self.for_node(family, "the API server"))
            .collect()
    }

    fn first_free(
        &mut self,
        family: IpFamily,
        ranges: &[IpNet],
        what: &str,
    ) -> Result<IpAddr, ScheduleError> {
        let of_family = ranges
            .iter()
            .filter(|net| IpFamily::of(net.addr()) == family);
        for range in of_family {
            let (first, last) = (to_number(range.network()), to_number(range.broadcast()));
            // A range of one or two addresses has nothing to set aside.
            let aside = if last - first > 2 { (2, 1) } else { (0, 0) };
            let last = (last - aside.1).min(first.saturating_add(MOST_TRIED));
            for number in first + aside.0..=last {
                let address = from_number(family, number);
                if self.is_usable(address) && self.used.insert(address) {
                    return Ok(address);
                }
            }
        }
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        Err(ScheduleError::NoAddress {
            family,
            what: what.to_owned(),
            ranges: ranges.join(", "),
        })
    }
}

fn standard(ranges: [&str; 2], family: IpFamily) -> Vec<IpNet> {
    let all = ranges.iter().filter_map(|text| text.parse::<IpNet>().ok());
    all.filter(|net| IpFamily::of(net.addr()) == family)
        .collect()
}
