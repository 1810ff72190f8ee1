//! Frames that no pod may send: in another's name, and past what policies see.
//!
//! A pod with the right to make frames (`NET_RAW`, which most have) sends each of them to
//! another pod. Who listens on the node's side of its link sees that it was sent, and who
//! listens in the other pod whether it arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ringfence_dataplane::compile::HardwareAddress;
use ringfence_engine::Verdict;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;

use super::{Purpose, Question};
use crate::error::LabError;
use crate::lab::Lab;
use crate::station::Tap;
use crate::topology::UPLINK;
use crate::wire::frame::{EVERYBODY, Ends, SERVICE_TAG, TAG, tagged};

/// A frame that was tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forgery {
    /// Namespace and name of the pod that sent it.
    pub from: String,
    /// Namespace and name of the one that was not to get it.
    pub to: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// What became of frames that no pod may send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    /// How many were tried.
    pub tried: usize,
    /// Those that arrived.
    pub arrived: Vec<Forgery>,
    /// Those that nobody saw, so that nothing follows from it.
    pub unseen: Vec<Forgery>,
}

/// What nobody but its node may get.
const TO_EVERYBODY: &str = "everybody's hardware address";

/// What frames carry, followed by their number.
const TEXT: &[u8] = b"ringfence forged ";

/// How long the last ones are waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// Addresses of nobody (RFC 5737, RFC 3849); others of these networks are the lab's internet.
const NOBODY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 250)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, 1)),
];

/// Tries them: each pod sends some of each kind to another.
///
/// # Errors
/// If the kernel refuses a socket.
pub(super) async fn forge(lab: &Lab, asked: &[(Question, Verdict)]) -> Result<Forged, LabError> {
    let pods = pods(lab);
    let mut taps = BTreeMap::new();
    for station in pods.iter().flat_map(|pod| [pod.station, pod.node]) {
        if let Some(namespace) = lab.network().namespace(station)
            && !taps.contains_key(&station)
        {
            taps.insert(station, Tap::open(namespace, UPLINK)?);
        }
    }
    let mut seen = Seen::default();
    let mut tried: Vec<(&Sender, &Sender, &'static str)> = Vec::new();
    for (index, pod) in pods.iter().enumerate() {
        let Some(victim) = victim(&pods, index) else {
            continue;
        };
        let Some(tap) = taps.get(&pod.station) else {
            continue;
        };
        for (what, frame) in frames(pod, victim, &pods, asked) {
            let Some(frame) = frame(&text(tried.len())) else {
                continue;
            };
            // What is not sent is not seen.
            let _ = tap.send(&frame);
            tried.push((pod, victim, what));
        }
        seen.look(&taps);
    }
    tokio::time::sleep(PATIENCE).await;
    seen.look(&taps);
    let mut forged = Forged {
        tried: tried.len(),
        ..Forged::default()
    };
    for (number, (from, to, what)) in tried.into_iter().enumerate() {
        let is_seen = |station: usize| seen.0.contains(&(station, number));
        // What is for everybody is for none of them.
        let mut others = pods.iter().filter(|other| other.id != from.id);
        let arrived = match what {
            TO_EVERYBODY => others.any(|other| is_seen(other.station)),
            _ => is_seen(to.station),
        };
        let forgery = Forgery {
            from: from.name.clone(),
            to: to.name.clone(),
            what,
        };
        if arrived {
            forged.arrived.push(forgery);
        } else if !is_seen(from.node) {
            forged.unseen.push(forgery);
        }
    }
    Ok(forged)
}

fn text(number: usize) -> Vec<u8> {
    [TEXT, &number.to_be_bytes()].concat()
}

/// Which frame was seen in which station.
#[derive(Debug, Default)]
struct Seen(BTreeSet<(usize, usize)>);

impl Seen {
    fn look(&mut self, taps: &BTreeMap<usize, Tap>) {
        for (station, tap) in taps {
            tap.drain(|frame| {
                let mut windows = frame.windows(TEXT.len());
                let at = windows.position(|some| some == TEXT);
                let number = at.and_then(|at| frame.get(at + TEXT.len()..)?.first_chunk());
                if let Some(number) = number {
                    self.0.insert((*station, usize::from_be_bytes(*number)));
                }
            });
        }
    }
}

/// A pod with a link of its own to its node.
struct Sender {
    id: PodId,
    name: String,
    station: usize,
    /// The station of its node.
    node: usize,
    addresses: Vec<IpAddr>,
    hardware: HardwareAddress,
    /// Whom it sends what is not for its own bridge: its node.
    gateway: HardwareAddress,
    is_on_bridge: bool,
}

fn pods(lab: &Lab) -> Vec<Sender> {
    let (snapshot, plan) = (&lab.schedule().snapshot, &lab.network().plan);
    let links = plan.links.iter().map(|link| (link.second.0, link));
    let links: BTreeMap<usize, _> = links.collect();
    let pods = snapshot.pod_ids().filter(|(_, pod)| !pod.host_network);
    let pods = pods.filter_map(|(id, pod)| {
        let station = lab.station_of(id)?;
        let link = links.get(&station)?;
        let nodes_end = &link.first.1;
        let bridge = nodes_end.bridge.and_then(|name| {
            let bridges = &plan.namespaces.get(&link.first.0)?.bridges;
            bridges.iter().find(|bridge| bridge.name == name)
        });
        Some(Sender {
            id,
            name: format!("{}/{}", snapshot.namespace(pod.namespace).name, pod.name),
            station,
            node: link.first.0,
            addresses: pod.addresses.clone(),
            hardware: link.second.1.hardware?,
            gateway: bridge.unwrap_or(nodes_end).hardware?,
            is_on_bridge: bridge.is_some(),
        })
    });
    pods.collect()
}

/// Whom a pod tries: the next one on its node, or the next one.
fn victim(pods: &[Sender], index: usize) -> Option<&Sender> {
    let own = pods.get(index)?;
    let (before, after) = (pods.get(..index)?, pods.get(index + 1..)?);
    let others = || after.iter().chain(before);
    let near = others().find(|other| other.node == own.node);
    near.or_else(|| others().next())
}

/// Makes a frame with a text in it; `None` where there is none of its kind.
type Make<'a> = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + 'a>;

/// What a pod sends to another.
fn frames<'a>(
    pod: &'a Sender,
    victim: &'a Sender,
    pods: &'a [Sender],
    asked: &[(Question, Verdict)],
) -> Vec<(&'static str, Make<'a>)> {
    let is_near = pod.is_on_bridge && pod.node == victim.node;
    let next = if is_near {
        victim.hardware
    } else {
        pod.gateway
    };
    let mut frames: Vec<(&'static str, Make<'a>)> = Vec::new();
    for to in &victim.addresses {
        let family = IpFamily::of(*to);
        let of_family = |address: &&IpAddr| IpFamily::of(**address) == family;
        let Some(own) = pod.addresses.iter().find(of_family).copied() else {
            continue;
        };
        let (other, protocol, port) = let_in(pod, victim, pods, asked, *to);
        let ends = move |from: IpAddr, hardware: HardwareAddress| Ends {
            hardware: (hardware, next),
            addresses: (from, *to),
        };
        let packet = move |ends: Ends| -> Make<'a> {
            Box::new(move |text| ends.packet(protocol, port, text))
        };
        if let Some((other, _)) = other {
            frames.push(("another pod's address", packet(ends(other, pod.hardware))));
        }
        if let Some(nobody) = NOBODY.iter().find(of_family) {
            frames.push(("nobody's address", packet(ends(*nobody, pod.hardware))));
        }
        if !is_near {
            continue;
        }
        let plain = ends(own, pod.hardware);
        for (what, tag) in [("an 802.1Q tag", TAG), ("an 802.1ad tag", SERVICE_TAG)] {
            let make: Make<'a> = Box::new(move |text| {
                let frame = plain.packet(protocol, port, text);
                frame.and_then(|frame| tagged(tag, &frame))
            });
            frames.push((what, make));
        }
        let to_all = Ends {
            hardware: (pod.hardware, EVERYBODY),
            ..plain
        };
        frames.push((TO_EVERYBODY, packet(to_all)));
        let Some((other, hardware)) = other else {
            continue;
        };
        frames.push(("another pod's addresses", packet(ends(other, hardware))));
        let lie = ends(other, pod.hardware);
        frames.push((
            "ARP for another pod's address",
            Box::new(move |text| lie.arp(text)),
        ));
        frames.push((
            "neighbour discovery for another pod's address",
            Box::new(move |text| plain.advertisement(other, text)),
        ));
    }
    frames
}

/// A pod that is let in by another, so that its address opens the way to it, with the port; any
/// third pod, where nobody is.
fn let_in(
    pod: &Sender,
    victim: &Sender,
    pods: &[Sender],
    asked: &[(Question, Verdict)],
    to: IpAddr,
) -> (Option<(IpAddr, HardwareAddress)>, Protocol, u16) {
    let of = |sender: &Sender| {
        let mut addresses = sender.addresses.iter().copied();
        let own = addresses.find(|address| IpFamily::of(*address) == IpFamily::of(to));
        own.map(|own| (own, sender.hardware))
    };
    let third = |sender: &&Sender| sender.id != pod.id && sender.id != victim.id;
    for (question, predicted) in asked {
        let probe = &question.probe;
        let is_packet = matches!(probe.protocol, Protocol::Tcp | Protocol::Udp);
        let is_let_in = is_packet && *predicted == Verdict::Allowed && probe.to == to;
        if question.purpose != Purpose::Pod || !is_let_in {
            continue;
        }
        let mut senders = pods.iter().filter(third);
        if let Some(other) = senders.find(|sender| sender.station == probe.from)
            && let Some(other) = of(other)
        {
            return (Some(other), probe.protocol, probe.port);
        }
    }
    let other = pods.iter().filter(third).find_map(of);
    (other, Protocol::Udp, 9)
}
