//! Sets of addresses in words: `internet`, `private networks`, `metadata`, or blocks.
//!
//! The engine speaks of exact sets of addresses outside the cluster. A person wants
//! to know whether the internet and the metadata service are among them.

use std::fmt;

use ipnet::IpNet;
use ringfence_model::address::{
    IpFamily, IpRangeSet, metadata_endpoints, private_networks, public_internet,
};
use ringfence_model::snapshot::Snapshot;

/// Blocks that are missing from the internet and still called `internet except ...`.
const MOST_EXCEPTIONS: usize = 4;
/// What is missing from private networks is a hole if it is not more than one in so many:
/// an address, the network of a service. Without 10.0.0.0/8 the rest is better written out.
const SMALL_HOLE: u128 = 256;
/// Blocks that are written out before `and n more`.
const MOST_BLOCKS: usize = 6;

/// A part of the addresses outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// All public addresses of a family, or of all families in use, but for a few.
    Internet {
        family: Option<IpFamily>,
        except: Vec<IpNet>,
    },
    /// All private addresses of a family, or of all families in use, but for a few.
    Private {
        family: Option<IpFamily>,
        except: Vec<IpNet>,
    },
    /// Cloud metadata endpoints: all, or some.
    Metadata { only: Vec<IpNet> },
    /// Blocks without a name. Never empty.
    Blocks(Vec<IpNet>),
}

impl Place {
    /// Whether credentials can be had there.
    pub(crate) fn is_metadata(&self) -> bool {
        matches!(self, Self::Metadata { .. })
    }

    /// Whether it is (nearly) all of the internet.
    pub(crate) fn is_internet(&self) -> bool {
        matches!(self, Self::Internet { .. })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet { family, except } => named(f, "internet", *family, except),
            Self::Private { family, except } => named(f, "private networks", *family, except),
            Self::Metadata { only } if only.is_empty() => f.write_str("metadata"),
            Self::Metadata { only } => write!(f, "metadata ({})", blocks(only)),
            Self::Blocks(nets) => f.write_str(&blocks(nets)),
        }
    }
}

/// `internet (IPv4) except 8.8.8.0/24`.
fn named(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    family: Option<IpFamily>,
    except: &[IpNet],
) -> fmt::Result {
    f.write_str(name)?;
    if let Some(family) = family {
        write!(f, " ({family})")?;
    }
    match except {
        [] => Ok(()),
        _ => write!(f, " except {}", blocks(except)),
    }
}

/// Blocks as people write them: a single address without its prefix length.
pub(crate) fn block(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

fn blocks(nets: &[IpNet]) -> String {
    let more = nets.len().saturating_sub(MOST_BLOCKS);
    let shown: Vec<String> = nets.iter().take(MOST_BLOCKS).map(block).collect();
    let shown = shown.join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more blocks")
    }
}

/// Names sets of addresses for one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct AddressNames {
    families: Vec<FamilyNames>,
}

#[derive(Clone, Debug)]
struct FamilyNames {
    family: IpFamily,
    /// The cluster's own addresses. What is outside the cluster has holes there, which
    /// nobody wants to read.
    cluster: IpRangeSet,
}

/// What a set covers in one family.
#[derive(Debug, Default)]
struct Covered {
    internet: Option<Vec<IpNet>>,
    private: Option<Vec<IpNet>>,
    metadata: Vec<IpNet>,
    all_metadata: bool,
    rest: Vec<IpNet>,
}

impl AddressNames {
    /// The names for addresses outside of `snapshot`.
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let mut in_use: Vec<IpFamily> = snapshot.default_families.clone();
        in_use.extend(
            snapshot
                .pods
                .iter()
                .flat_map(|pod| &pod.addresses)
                .map(|a| IpFamily::of(*a)),
        );
        let families = IpFamily::ALL
            .into_iter()
            .filter(|family| in_use.is_empty() || in_use.contains(family))
            .map(|family| FamilyNames {
                family,
                cluster: cluster_addresses(snapshot, family),
            })
            .collect();
        Self { families }
    }

    /// `nets` in words.
    pub(crate) fn places(&self, nets: &[IpNet]) -> Vec<Place> {
        let covered: Vec<(IpFamily, Covered)> = self
            .families
            .iter()
            .map(|names| (names.family, names.covered(nets)))
            .collect();
        let mut places = Vec::new();
        self.add_internet(&covered, &mut places);
        self.add_private(&covered, &mut places);
        let metadata: Vec<IpNet> = covered
            .iter()
            .flat_map(|(_, c)| c.metadata.clone())
            .collect();
        if !metadata.is_empty() {
            let all = covered.iter().all(|(_, c)| c.all_metadata);
            places.push(Place::Metadata {
                only: if all { Vec::new() } else { metadata },
            });
        }
        let mut rest: Vec<IpNet> = covered.into_iter().flat_map(|(_, c)| c.rest).collect();
        // Families that the cluster does not use are named only where nothing else is.
        if places.is_empty() && rest.is_empty() {
            rest = nets.to_vec();
        }
        if !rest.is_empty() {
            places.push(Place::Blocks(rest));
        }
        places
    }

    fn add_internet(&self, covered: &[(IpFamily, Covered)], places: &mut Vec<Place>) {
        let whole: Vec<(IpFamily, &Vec<IpNet>)> = covered
            .iter()
            .filter_map(|(family, c)| Some((*family, c.internet.as_ref()?)))
            .collect();
        if whole.len() == self.families.len() {
            let except = whole
                .into_iter()
                .flat_map(|(_, except)| except.clone())
                .collect();
            places.push(Place::Internet {
                family: None,
                except,
            });
            return;
        }
        places.extend(whole.into_iter().map(|(family, except)| Place::Internet {
            family: Some(family),
            except: except.clone(),
        }));
    }

    fn add_private(&self, covered: &[(IpFamily, Covered)], places: &mut Vec<Place>) {
        let whole: Vec<(IpFamily, &Vec<IpNet>)> = covered
            .iter()
            .filter_map(|(family, c)| Some((*family, c.private.as_ref()?)))
            .collect();
        if whole.len() == self.families.len() {
            let except = whole.into_iter().flat_map(|(_, except)| except.clone());
            places.push(Place::Private {
                family: None,
                except: except.collect(),
            });
            return;
        }
        places.extend(whole.into_iter().map(|(family, except)| Place::Private {
            family: Some(family),
            except: except.clone(),
        }));
    }
}

impl FamilyNames {
    fn covered(&self, nets: &[IpNet]) -> Covered {
        let exact = IpRangeSet::from_nets(self.family, nets);
        if exact.is_empty() {
            return Covered::default();
        }
        let closed = exact.union(&self.cluster);
        let mut left = exact.clone();
        let mut covered = Covered::default();

        let public = public_internet(self.family);
        let missing = public.difference(&closed).to_nets();
        if missing.len() <= MOST_EXCEPTIONS && is_large(&exact.intersection(public)) {
            covered.internet = Some(missing);
            // What is reserved goes without saying next to the whole internet.
            left = left.intersection(private_networks(self.family));
        }
        let private = private_networks(self.family);
        let missing = private.difference(&closed);
        let holes = missing.to_nets();
        if holes.len() <= MOST_EXCEPTIONS && size(&missing) <= size(private) / SMALL_HOLE {
            covered.private = Some(holes);
            left = left.difference(private);
        }
        let metadata = metadata_endpoints(self.family);
        let met = exact.intersection(&metadata);
        covered.all_metadata = met == metadata;
        covered.metadata = met.to_nets();
        // What is named as metadata is not written out again, unless it is part of more.
        let is_named = |net: &IpNet| IpRangeSet::from_nets(self.family, [net]).is_subset(&metadata);
        let touches = |net: &IpNet| !IpRangeSet::from_nets(self.family, [net]).is_disjoint(&left);
        let written = |set: &IpRangeSet| -> Vec<IpNet> {
            let nets = set.union(&met).to_nets().into_iter();
            nets.filter(|net| touches(net) && !is_named(net)).collect()
        };
        let (as_it_is, filled) = (written(&left), written(&left.union(&self.cluster)));
        // The cluster's own addresses are left out of blocks without a word where that
        // makes fewer of them; otherwise nothing is named that was not asked about.
        covered.rest = match filled.len() < as_it_is.len() {
            true => filled,
            false => as_it_is,
        };
        covered
    }
}

/// Whether a set is a quarter of its family's public addresses or more.
fn is_large(set: &IpRangeSet) -> bool {
    let quarter = match set.family() {
        IpFamily::V4 => 1u128 << 29,
        IpFamily::V6 => 1u128 << 122,
    };
    size(set) >= quarter
}

/// Half the number of addresses, and at least one for each range: as many as fit.
fn size(set: &IpRangeSet) -> u128 {
    set.ranges()
        .iter()
        .map(|(start, end)| ((end - start) >> 1).max(1))
        .fold(0, u128::saturating_add)
}

fn cluster_addresses(snapshot: &Snapshot, family: IpFamily) -> IpRangeSet {
    let pods = snapshot.pods.iter().flat_map(|pod| &pod.addresses);
    let nodes = snapshot.nodes.iter().flat_map(|node| &node.addresses);
    let services = snapshot
        .services
        .iter()
        .flat_map(|service| &service.cluster_ips);
    let nets: Vec<IpNet> = pods
        .chain(nodes)
        .chain(services)
        .map(|address| IpNet::from(*address))
        .chain(snapshot.pod_cidrs.iter().copied())
        .collect();
    IpRangeSet::from_nets(family, &nets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(families: &[IpFamily], cluster: &[&str]) -> AddressNames {
        let mut snapshot = Snapshot::default();
        snapshot.default_families = families.to_vec();
        snapshot.pod_cidrs = cluster.iter().map(|net| net.parse().unwrap()).collect();
        AddressNames::new(&snapshot)
    }

    fn shown(names: &AddressNames, set: &IpRangeSet) -> Vec<String> {
        let places = names.places(&set.to_nets());
        places.iter().map(ToString::to_string).collect()
    }

    fn v4(nets: &[&str]) -> IpRangeSet {
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        IpRangeSet::from_nets(IpFamily::V4, &nets)
    }

    #[test]
    fn everything_is_the_internet_private_networks_and_metadata() {
        let names = names(&[IpFamily::V4], &["10.244.0.0/16"]);
        let outside = v4(&["0.0.0.0/0"]).difference(&v4(&["10.244.0.0/16"]));
        assert_eq!(
            shown(&names, &outside),
            ["internet", "private networks", "metadata"]
        );
    }

    #[test]
    fn an_exception_for_one_metadata_address_leaves_the_others() {
        let names = names(&[IpFamily::V4], &[]);
        let set = v4(&["0.0.0.0/0"]).difference(&v4(&["169.254.169.254/32"]));
        let shown = shown(&names, &set);
        assert_eq!(shown[..2], ["internet", "private networks"]);
        assert!(
            shown[2].starts_with("metadata (100.100.100.200, 168.63.129.16,"),
            "{shown:?}"
        );
        assert!(!shown[2].contains("169.254.169.254"));
    }

    #[test]
    fn the_internet_with_a_few_holes_is_the_internet_except_those() {
        let names = names(&[IpFamily::V4], &[]);
        let set = v4(&["0.0.0.0/0"]).difference(&v4(&[
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "8.8.8.0/24",
        ]));
        let shown = shown(&names, &set);
        assert_eq!(shown[0], "internet except 8.8.8.0/24");
        assert!(shown.contains(&"100.64.0.0/10".to_owned()), "{shown:?}");
    }

    #[test]
    fn private_networks_with_a_small_hole_are_private_networks_except_that() {
        let names = names(&[IpFamily::V4], &[]);
        let private = private_networks(IpFamily::V4);
        let set = private.difference(&v4(&["172.18.0.2/32"]));
        assert_eq!(shown(&names, &set), ["private networks except 172.18.0.2"]);
        let set = private.difference(&v4(&["10.0.0.0/8"]));
        assert!(!shown(&names, &set)[0].starts_with("private networks"));
    }

    #[test]
    fn small_blocks_are_written_out_and_holes_of_the_cluster_are_not() {
        let names = names(&[IpFamily::V4], &["10.244.0.0/16"]);
        assert_eq!(shown(&names, &v4(&["203.0.113.7/32"])), ["203.0.113.7"]);
        let holed = v4(&["10.0.0.0/8"]).difference(&v4(&["10.244.0.0/16"]));
        assert_eq!(shown(&names, &holed), ["10.0.0.0/8"]);
        assert_eq!(
            shown(&names, &v4(&["169.254.169.254/32"])),
            ["metadata (169.254.169.254)"]
        );
    }

    #[test]
    fn in_a_dual_stack_cluster_one_family_alone_is_said_to_be_one() {
        let names = names(&IpFamily::ALL, &[]);
        let shown = shown(&names, &v4(&["0.0.0.0/0"]));
        assert_eq!(shown[..2], ["internet (IPv4)", "private networks (IPv4)"]);
        let mut both = v4(&["0.0.0.0/0"]).to_nets();
        both.push("::/0".parse().unwrap());
        let places = names.places(&both);
        assert_eq!(places[0].to_string(), "internet");
        assert_eq!(places[2].to_string(), "metadata");
        assert_eq!(places.len(), 3);
    }

    #[test]
    fn an_address_next_to_a_node_is_named_alone() {
        let names = FamilyNames {
            family: IpFamily::V4,
            cluster: v4(&["192.168.1.10/32"]),
        };
        let one = v4(&["192.168.1.11/32"]).to_nets();
        assert_eq!(names.covered(&one).rest, one);
    }
}
