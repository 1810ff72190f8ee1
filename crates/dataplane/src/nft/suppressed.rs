//! What the rate limit kept back.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;

use super::{Error, Table, encode};
use crate::compile::{LOGGED_INTERFACES, LOGGED_PORTS, logged};
use crate::ruleset::Layer;

/// What the rate of told events is limited by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noisy {
    /// A pod, by its address, with what its policies of a direction do not allow.
    Pod(IpAddr, Direction),
    /// An interface, with what came in by it and is denied because of no policy: forged
    /// sources, addresses of no known pod, pods that are closed.
    Interface(String),
    /// A port of a bridge, with frames that came in by it and are none of its pod's.
    Port(String),
}

impl Table {
    /// How many events were not told because there were too many, of each that had some.
    ///
    /// Each number only grows, until its element is gone: a minute after the last denied
    /// packet, or with the table. Who reads once in a minute at least misses nothing, and
    /// takes a number that is smaller than before for a new one.
    ///
    /// # Errors
    /// Where there is no table, or it is none of ours.
    pub async fn suppressed(&self) -> Result<BTreeMap<Noisy, u64>, Error> {
        let mut found = BTreeMap::new();
        for family in IpFamily::ALL {
            for direction in [Direction::Egress, Direction::Ingress] {
                for (key, count) in self
                    .counted(Layer::Network, &logged(direction, family))
                    .await?
                {
                    let pod = address(&key).map(|address| Noisy::Pod(address, direction));
                    found.extend(pod.map(|pod| (pod, count)));
                }
            }
        }
        for (key, count) in self.counted(Layer::Network, LOGGED_INTERFACES).await? {
            found.insert(Noisy::Interface(interface(&key)), count);
        }
        if self.tells_frames().await? {
            for (key, count) in self.counted(Layer::Link, LOGGED_PORTS).await? {
                found.insert(Noisy::Port(interface(&key)), count);
            }
        }
        Ok(found)
    }

    /// The keys of a set whose elements have counted something.
    async fn counted(&self, layer: Layer, set: &str) -> Result<Vec<(Vec<u8>, u64)>, Error> {
        let elements = self
            .connection
            .list_set_elements(&self.name.0, set, encode::family(layer));
        let elements = elements.await?.into_iter();
        let counted = elements.filter_map(|element| {
            let (packets, _) = element.counter()?;
            (packets > 0).then(|| (element.key().to_vec(), packets))
        });
        Ok(counted.collect())
    }
}

impl Table {
    /// Whether frames are told by ports.
    async fn tells_frames(&self) -> Result<bool, Error> {
        if !self.layers().await?.contains(&Layer::Link) {
            return Ok(false);
        }
        let family = encode::family(Layer::Link);
        let sets = self.connection.list_sets_in(&self.name.0, family).await?;
        Ok(sets.iter().any(|set| set.name == LOGGED_PORTS))
    }
}

fn interface(key: &[u8]) -> String {
    let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    v4.or(v6).ok()
}
