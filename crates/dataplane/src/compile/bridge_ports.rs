//! Who is behind which port of a bridge, as sets.

use std::net::{IpAddr, Ipv6Addr};

use ringfence_model::address::IpFamily;

use super::chains::LOGGED_PORTS;
use super::endpoints::Shared;
use super::node::{HardwareAddress, Node, Port};
use super::{base, family_index, named};
use crate::ruleset::{Key, KeyType, Layer, Lookup, Name, Ruleset, Set, Value, ValueType, key};

/// The ports with pods behind them.
pub(super) const PORTS: &str = "bridge_ports";
/// By port: the hardware address and an address that are behind it.
pub(super) const BEHIND: &str = "behind";
/// The hardware addresses that are behind ports, with the port.
pub(super) const HARDWARE_BEHIND: &str = "hardware_behind";
/// The hardware addresses that are behind ports.
pub(super) const HARDWARE: &str = "hardware";
/// The addresses that are behind ports.
pub(super) const TAKEN: &str = "taken";
/// The hardware addresses of the bridges themselves.
pub(super) const BRIDGES: &str = "bridges";

/// Adds the sets of a node with bridges; what follows from its pods is not in them yet.
pub(super) fn sets(node: &Node, ruleset: &mut Ruleset) {
    let mut add = |name: Name, key: &[KeyType], lookup, keys: Vec<Key>| {
        let keys = keys.into_iter().map(|key| (key, Value::None));
        let set = Set {
            layer: Layer::Link,
            key: key.to_vec(),
            value: ValueType::None,
            lookup,
            elements: keys.collect(),
        };
        ruleset.sets.insert(name, set);
    };
    let (hardware, interface) = (KeyType::Hardware, KeyType::Interface);
    let bridges = node.bridges.iter();
    let bridges = bridges.map(|bridge| key::hardware(bridge.hardware));
    let bridges: Vec<Key> = bridges.collect();
    for (name, key, keys) in [
        (BRIDGES, vec![hardware], bridges),
        (PORTS, vec![interface], Vec::new()),
        (HARDWARE, vec![hardware], Vec::new()),
        (HARDWARE_BEHIND, vec![hardware, interface], Vec::new()),
    ] {
        add(Name::from(name), &key, Lookup::Exact, keys);
    }
    for family in IpFamily::ALL {
        let address = KeyType::Address(family);
        let behind = [interface, hardware, address];
        add(named(BEHIND, family), &behind, Lookup::Exact, Vec::new());
        add(named(TAKEN, family), &[address], Lookup::Exact, Vec::new());
    }
    add(
        Name::from(LOGGED_PORTS),
        &[interface],
        base::LOGGED,
        Vec::new(),
    );
}

/// The names of the sets, made once.
#[derive(Clone, Debug)]
pub(super) struct BridgePorts {
    ports: Name,
    hardware: Name,
    hardware_behind: Name,
    behind: [Name; 2],
    taken: [Name; 2],
}

impl Default for BridgePorts {
    fn default() -> Self {
        Self {
            ports: Name::from(PORTS),
            hardware: Name::from(HARDWARE),
            hardware_behind: Name::from(HARDWARE_BEHIND),
            behind: IpFamily::ALL.map(|family| named(BEHIND, family)),
            taken: IpFamily::ALL.map(|family| named(TAKEN, family)),
        }
    }
}

impl BridgePorts {
    /// What a pod with these addresses behind a port is a reason for.
    ///
    /// Whatever its addresses, it has one of its link, and asks from none whether somebody else
    /// has that. The first table lets nothing but this come from these.
    pub(super) fn elements(
        &self,
        port: &Port,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Vec<(Shared, &Name, Key)> {
        let (name, hardware) = (key::interface(&port.name), key::hardware(port.hardware));
        let mut elements = vec![
            (Shared::Ports, &self.ports, name.clone()),
            (Shared::Hardware, &self.hardware, hardware.clone()),
            (
                Shared::HardwareBehind,
                &self.hardware_behind,
                hardware.clone().then(&name),
            ),
        ];
        let [.., behind_v6] = &self.behind;
        let of_port = name.then(&hardware);
        let nobody = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let from_nobody = of_port.clone().then(&key::address(nobody));
        elements.push((Shared::Behind, behind_v6, from_nobody));
        for address in addresses.chain([link_local(port.hardware)]) {
            let index = family_index(IpFamily::of(address));
            let at = key::address(address);
            let behind = of_port.clone().then(&at);
            let sets = self.behind.get(index).zip(self.taken.get(index));
            elements.extend(sets.into_iter().flat_map(|(all, taken)| {
                [
                    (Shared::Behind, all, behind.clone()),
                    (Shared::Taken, taken, at.clone()),
                ]
            }));
        }
        elements
    }
}

/// The address that a host has on its link by its hardware address (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: HardwareAddress) -> IpAddr {
    let address = [
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ];
    IpAddr::from(address)
}
