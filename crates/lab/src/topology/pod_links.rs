//! The links between pods and their nodes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use ringfence_dataplane::compile::HardwareAddress;
use ringfence_model::address::{IpFamily, from_number, to_number};

use super::plan::{
    Interface, Route, UPLINK, everything, full_length, hardware_address, metadata_on, of_family,
};
use crate::schedule::{Schedule, ScheduledNode};

/// The gateway of every pod, an address of no network: the node answers for it.
const GATEWAY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
/// As Calico has it: every pod's gateway has the same hardware address, also on a bridge.
pub(super) const NODE_HARDWARE: HardwareAddress = [0xee; 6];
pub(super) const POD_BRIDGE: &str = "cni0";

/// The gateway of a pod with this address, and the length of the gateway's network.
pub(super) fn gateway(address: IpAddr) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(_) => (GATEWAY_V4, 32),
        IpAddr::V6(_) => (GATEWAY_V6, 64),
    }
}

/// A pod's end and the node's of a link of their own.
pub(super) fn routed(
    addresses: &[IpAddr],
    node: Option<&ScheduledNode>,
    interface: &str,
) -> (Interface, Interface) {
    let nodes = node.map(|node| &node.addresses[..]).unwrap_or_default();
    let mut pods_end = Interface {
        name: UPLINK.to_owned(),
        ..Interface::default()
    };
    let mut nodes_end = Interface {
        name: interface.to_owned(),
        hardware: Some(NODE_HARDWARE),
        ..Interface::default()
    };
    for address in addresses {
        let family = IpFamily::of(*address);
        let (gateway, length) = gateway(*address);
        pods_end.addresses.push((*address, full_length(*address)));
        if family == IpFamily::V4 {
            pods_end.routes.push(Route {
                to: IpNet::from(gateway),
                via: None,
                source: Some(*address),
            });
        }
        pods_end.routes.push(Route {
            to: everything(family),
            via: Some(gateway),
            source: Some(*address),
        });
        nodes_end.addresses.push((gateway, length));
        nodes_end.addresses.extend(metadata_on(family));
        nodes_end.routes.push(Route {
            to: IpNet::from(*address),
            via: None,
            source: of_family(nodes, family),
        });
    }
    (pods_end, nodes_end)
}

/// A pod's end of a link, and a port of its node's bridge.
pub(super) fn bridged(
    schedule: &Schedule,
    addresses: &[IpAddr],
    node: Option<&ScheduledNode>,
    interface: &str,
    hardware: HardwareAddress,
) -> (Interface, Interface) {
    let mut pods_end = Interface {
        name: UPLINK.to_owned(),
        ..Interface::default()
    };
    let ranges = node.map(|node| &node.pod_ranges[..]).unwrap_or_default();
    for address in addresses {
        let family = IpFamily::of(*address);
        let Some((gateway, length)) = bridge_address(schedule, ranges, family) else {
            continue;
        };
        let inside = ranges.iter().any(|range| range.contains(address));
        let own = if inside {
            length
        } else {
            full_length(*address)
        };
        pods_end.addresses.push((*address, own));
        if !inside {
            pods_end.routes.push(Route {
                to: IpNet::from(gateway),
                via: None,
                source: None,
            });
        }
        pods_end.routes.push(Route {
            to: everything(family),
            via: Some(gateway),
            source: None,
        });
    }
    let port = Interface {
        name: interface.to_owned(),
        bridge: Some(POD_BRIDGE),
        hairpin: true,
        behind: Some(hardware),
        ..Interface::default()
    };
    (pods_end, port)
}

/// The address of a node's bridge: the first of its range that no pod has.
pub(super) fn bridge_address(
    schedule: &Schedule,
    ranges: &[IpNet],
    family: IpFamily,
) -> Option<(IpAddr, u8)> {
    let mut ranges = ranges.iter();
    let range = ranges.find(|range| IpFamily::of(range.addr()) == family)?;
    let (first, last) = (to_number(range.network()), to_number(range.broadcast()));
    let address = (first.checked_add(1)?..last)
        .map(|number| from_number(family, number))
        .find(|address| schedule.snapshot.pod_with_address(*address).is_none())?;
    Some((address, range.prefix_len()))
}

/// The hardware address of the pod in a namespace with this number.
pub(super) fn pod_hardware(namespace: usize) -> HardwareAddress {
    hardware_address(0x02, namespace)
}
