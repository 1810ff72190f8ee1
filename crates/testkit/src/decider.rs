mod ruleset;

pub use ruleset::Rulesets;

use std::sync::Arc;

use ringfence_engine::oracle::Oracle;
use ringfence_engine::{Engine, Packet, Profile, Verdict};
use ringfence_model::snapshot::Snapshot;

/// Something that judges packets. All of them must agree.
pub trait Decider {
    /// Its name, for messages.
    fn name(&self) -> &str;

    /// The verdict on one packet.
    fn decide(&self, packet: &Packet) -> Verdict;
}

impl Decider for Oracle<'_> {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn decide(&self, packet: &Packet) -> Verdict {
        self.judge(packet).verdict
    }
}

impl Decider for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn decide(&self, packet: &Packet) -> Verdict {
        self.can(packet)
    }
}

/// Every decider there is. A new one is added here, and every fixture and every
/// generated case is put to it.
#[must_use]
pub fn all_deciders<'a>(
    snapshot: &'a Arc<Snapshot>,
    profile: Profile,
) -> Vec<Box<dyn Decider + 'a>> {
    vec![
        Box::new(Oracle::new(snapshot, profile)),
        Box::new(Engine::compile(snapshot, profile)),
    ]
}
