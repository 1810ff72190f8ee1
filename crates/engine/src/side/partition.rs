//! Cutting peers into cells that the rules of one side cannot tell apart.

use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::ContainerPort;
use ringfence_model::tri::Tri;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use super::judge::NamedPorts;
use crate::resolve::classes::{ClassId, Classes, Features};
use crate::resolve::peers::{PeerSetId, Peers};
use crate::sets::PortSet;

/// What the rules of one side can see of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Signature {
    /// Whether it is in each of the side's sets.
    pub(crate) members: Vec<Tri>,
    /// What each of the side's port names stands for on it.
    pub(crate) named: Vec<NamedPorts>,
}

/// What port names stand for, class by class.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedPortIndex {
    /// name -> the different meanings, with the classes that have them.
    meanings: FxHashMap<String, Vec<(NamedPorts, RoaringBitmap)>>,
    /// Endpoints outside the input: any name may stand for any port.
    outside: RoaringBitmap,
}

impl NamedPortIndex {
    pub(crate) fn new(classes: &Classes) -> Self {
        let mut index = Self::default();
        for (class, features) in (0u32..).zip(&classes.features) {
            index.insert(class, features);
        }
        index
    }

    pub(crate) fn insert(&mut self, class: ClassId, features: &Features) {
        if features.outside {
            self.outside.insert(class);
            return;
        }
        let mut names: Vec<_> = features
            .ports
            .iter()
            .filter_map(|p| p.name.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let ports = meaning(features, &name);
            let meanings = self.meanings.entry(name.to_string()).or_default();
            match meanings.iter_mut().find(|(known, _)| *known == ports) {
                Some((_, classes)) => {
                    classes.insert(class);
                }
                None => meanings.push((ports, RoaringBitmap::from([class]))),
            }
        }
    }

    /// Cuts `peers` by what `name` stands for on them.
    fn cut(&self, name: &str, peers: RoaringBitmap) -> Vec<(NamedPorts, RoaringBitmap)> {
        let mut pieces = Vec::new();
        let mut left = peers;
        let known = self.meanings.get(name).into_iter().flatten();
        for (ports, classes) in known {
            let piece = &left & classes;
            if !piece.is_empty() {
                left -= &piece;
                pieces.push((ports.clone(), piece));
            }
        }
        let outside = &left & &self.outside;
        if !outside.is_empty() {
            left -= &outside;
            pieces.push((any_port(), outside));
        }
        if !left.is_empty() {
            pieces.push((NamedPorts::default(), left));
        }
        pieces
    }
}

/// What `name` stands for on pods with these features.
fn meaning(features: &Features, name: &str) -> NamedPorts {
    let mut ports = meaning_of(features.outside, &features.ports, name);
    if features.host_network {
        // Seen as its node's address, for which a name means nothing, or looked up all
        // the same: implementations differ.
        ports.certain = PortSet::none();
    }
    ports
}

/// What `name` stands for on pods with these ports; on an endpoint outside the input
/// it may stand for anything.
pub(crate) fn meaning_of(outside: bool, ports: &[ContainerPort], name: &str) -> NamedPorts {
    if outside {
        return any_port();
    }
    let ports = ports
        .iter()
        .filter(|port| port.name.as_deref() == Some(name))
        .map(|port| PortSet::range(port.protocol, port.port, port.port))
        .fold(PortSet::none(), |all, port| all.union(&port));
    NamedPorts {
        certain: ports.clone(),
        possible: ports,
    }
}

fn any_port() -> NamedPorts {
    NamedPorts {
        certain: PortSet::none(),
        possible: PortSet::all(),
    }
}

/// The peers that are, or may be, in any of `sets`, cut into cells.
pub(crate) fn partition(
    sets: &[PeerSetId],
    names: &[String],
    family: IpFamily,
    peers: &Peers,
    ports: &NamedPortIndex,
) -> Vec<(Signature, RoaringBitmap)> {
    let mut cells: Vec<(Signature, RoaringBitmap)> = Vec::new();
    for (position, set) in sets.iter().enumerate() {
        let set = peers.members(*set, family);
        let mut fresh = set.possible.clone();
        let mut cut = Vec::with_capacity(cells.len() + 2);
        for (mut signature, mut cell) in cells {
            if !cell.is_disjoint(&set.possible) {
                fresh -= &cell;
                for (member, piece) in [
                    (Tri::Yes, &cell & &set.certain),
                    (Tri::Unknown, &cell & (&set.possible - &set.certain)),
                ] {
                    if !piece.is_empty() {
                        cell -= &piece;
                        cut.push((with(&signature, member), piece));
                    }
                }
            }
            if !cell.is_empty() {
                signature.members.push(Tri::No);
                cut.push((signature, cell));
            }
        }
        let nowhere = Signature {
            members: vec![Tri::No; position],
            named: Vec::new(),
        };
        for (member, piece) in [
            (Tri::Yes, &fresh & &set.certain),
            (Tri::Unknown, &fresh - &set.certain),
        ] {
            if !piece.is_empty() {
                cut.push((with(&nowhere, member), piece));
            }
        }
        cells = cut;
    }
    for name in names {
        cells = cells
            .into_iter()
            .flat_map(|(signature, cell)| {
                ports
                    .cut(name, cell)
                    .into_iter()
                    .map(move |(named, piece)| {
                        let mut signature = signature.clone();
                        signature.named.push(named);
                        (signature, piece)
                    })
            })
            .collect();
    }
    cells
}

fn with(signature: &Signature, member: Tri) -> Signature {
    let mut signature = signature.clone();
    signature.members.push(member);
    signature
}

/// The signature of a class; `member` says which sets it is in.
pub(crate) fn signature(
    features: &Features,
    sets: &[PeerSetId],
    names: &[String],
    member: impl Fn(PeerSetId) -> Tri,
) -> Signature {
    Signature {
        members: sets.iter().map(|set| member(*set)).collect(),
        named: names.iter().map(|name| meaning(features, name)).collect(),
    }
}
