//! What is logged of a denied connection leads to the pod and the policies that the oracle
//! says deny it, on generated clusters; whichever packet of the connection it is told by.
//!
//! `RINGFENCE_CLUSTERS` says how many clusters (default 500), `RINGFENCE_SEED` with which
//! seed to begin (default 0).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/frame.rs"]
mod frame;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use etherparse::PacketBuilder;
use frame::frame;
use ringfence_dataplane::compile::{Compiled, Node};
use ringfence_dataplane::interpret::{self, Frame};
use ringfence_dataplane::nflog::{Side, denial, whose};
use ringfence_dataplane::ruleset::{ConnectionState, Hook};
use ringfence_engine::oracle::{Oracle, SideDecision};
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, PodKind};
use ringfence_testkit::generate::random::{Cluster, Questions};

/// The port that connections are opened from.
const OPENED_FROM: u16 = 40_000;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// A reply to a packet.
fn reply(frame: &Frame) -> Frame {
    let mut reply = frame.clone();
    reply.source = frame.destination;
    reply.destination = frame.source;
    let connection = reply.connection.as_mut().expect("it has one");
    connection.is_reply = true;
    connection.state = ConnectionState::Established;
    reply
}

/// The head of a packet.
fn head(frame: &Frame, ports: (u16, u16)) -> Vec<u8> {
    let builder = match (frame.source, frame.destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        ends => panic!("of two families: {ends:?}"),
    };
    let mut bytes = Vec::new();
    let builder = builder.udp(ports.0, ports.1);
    builder.write(&mut bytes, &[]).expect("it is written");
    bytes
}

/// The rulesets of all nodes, and what they are compiled from.
struct Nodes {
    engine: Engine,
    compiled: BTreeMap<Option<Arc<str>>, Compiled>,
}

impl Nodes {
    fn new(engine: Engine) -> Self {
        let pods = engine.snapshot().pods.iter();
        let compiled = pods.map(|pod| {
            let node = Node::from_snapshot(engine.snapshot(), pod.node.as_deref());
            let compiled = Compiled::new(&engine, &node, &Compiled::default());
            (pod.node.clone(), compiled)
        });
        Self {
            compiled: compiled.collect(),
            engine,
        }
    }

    /// Checks what is told where a pod is denied a packet. Says whether it could be sent.
    fn check(&self, packet: &Packet, pod: PodId, direction: Direction, by: &SideDecision) -> bool {
        let snapshot = self.engine.snapshot();
        let Some(frame) = frame(snapshot, packet) else {
            return false;
        };
        let compiled = &self.compiled[&snapshot.pod(pod).node];
        let mut told = Vec::new();
        let opened = (frame.clone(), (OPENED_FROM, packet.port));
        let replied = (reply(&frame), (packet.port, OPENED_FROM));
        for (frame, ports) in [opened, replied] {
            let passage = interpret::pass(&compiled.ruleset, Hook::Forward, &frame);
            assert!(!passage.accepted);
            let [prefix] = &passage.logged[..] else {
                panic!("{:?}", passage.logged);
            };
            told.push(denial(prefix, &head(&frame, ports)).expect("it is ours"));
        }
        assert_eq!(told[0], told[1], "by whichever packet it is told");
        let told = &told[0];
        assert_eq!(told.side, Side::Policies(direction));
        assert_eq!(told.ports, Some((OPENED_FROM, packet.port)));
        let found = whose(&self.engine, told).expect("it is a pod's");
        assert_eq!((found.pod, found.direction), (pod, direction));
        assert!(!found.policies.is_empty(), "some policy denies");
        for step in &by.steps {
            let found = found.policies.contains(&(step.policy, step.selects));
            assert!(found, "{:?}", snapshot.policy(step.policy).name);
        }
        true
    }
}

#[test]
fn what_is_logged_of_a_denied_connection_leads_to_the_policies_that_deny_it() {
    let first = number("RINGFENCE_SEED", 0);
    let mut told: BTreeMap<Direction, usize> = BTreeMap::new();
    for seed in first..first + number("RINGFENCE_CLUSTERS", 500) {
        let cluster = Cluster::from_seed(seed);
        let snapshot = cluster.snapshot();
        let nodes = Nodes::new(Engine::compile(&snapshot, Profile::default()));
        let oracle = Oracle::new(&snapshot, Profile::default());
        for packet in Questions::new(&snapshot, seed).take(64) {
            let decision = oracle.judge(&packet);
            let (egress, ingress) = (&decision.egress, &decision.ingress);
            // Egress is judged first, and what is denied there meets nothing else.
            let (direction, end, by) = match (egress.verdict, ingress.verdict) {
                (Verdict::Denied, _) => (Direction::Egress, packet.source, egress),
                (Verdict::Allowed, Verdict::Denied) => {
                    (Direction::Ingress, packet.destination, ingress)
                }
                _ => continue,
            };
            let Peer::Pod(pod) = end else { continue };
            let single = snapshot.pod(pod).kind == PodKind::Single;
            if !single || by.may_be_own_node || packet.source == packet.destination {
                continue;
            }
            // Where something is wrong, this is the last that was said.
            println!("seed {seed}: {packet:?}");
            if nodes.check(&packet, pod, direction, by) {
                *told.entry(direction).or_default() += 1;
            }
        }
    }
    println!("{told:?}");
    for direction in [Direction::Egress, Direction::Ingress] {
        assert!(told.contains_key(&direction), "{direction:?} never denied");
    }
}
