//! What fixtures know, asked of a cluster that is laid out.

use ringfence_engine::{Packet, Profile, Verdict};
use ringfence_testkit::fixture::StageCluster;

use crate::asked::{Asked, Counts, Trial};
use ringfence_lab::topology::Cni;

/// A fixture at one moment, asked of those who need no kernel.
pub(crate) struct Answers {
    /// The packets that are to be sent in the kernel as well, with the fixture's profile.
    pub(crate) for_kernel: Vec<Packet>,
    /// How many verdicts were given.
    pub(crate) counts: Counts,
    /// Who said something else than the fixture.
    pub(crate) failures: String,
}

/// The stage as a cluster to build.
pub(crate) fn trial<'a>(name: &str, stage: &'a StageCluster) -> Trial<'a> {
    let step = stage.step.as_ref();
    Trial {
        name: format!("{name}{}", step.map_or(String::new(), |s| format!(", {s}"))),
        objects: &stage.loaded.objects,
        build: stage.options.clone(),
        profile: stage.profile,
        cni: Cni::Routed,
        seed: 0,
    }
}

pub(crate) fn ask(name: &str, stage: &StageCluster, asked: &Asked) -> Answers {
    let known = stage.answered(asked.snapshot());
    let known = known.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut profiles: Vec<Profile> = Vec::new();
    for answered in &known {
        if !profiles.contains(&answered.profile) {
            profiles.push(answered.profile);
        }
    }
    let mut answers = Answers {
        for_kernel: Vec::new(),
        counts: Counts::default(),
        failures: String::new(),
    };
    for profile in profiles {
        let of_profile = known.iter().filter(|answered| answered.profile == profile);
        let (packets, verdicts): (Vec<Packet>, Vec<Verdict>) = of_profile
            .map(|answered| (answered.packet, answered.verdict))
            .unzip();
        let (_, counts, failures) = asked.decide(profile, &packets, Some(&verdicts));
        answers.counts.add(counts);
        answers.failures.push_str(&failures);
        if profile == stage.profile && !profile.judges_before_dnat {
            let sent = packets.into_iter();
            let sent = sent.filter(|packet| asked.probe(packet).is_some());
            answers.for_kernel.extend(sent);
        }
    }
    answers
}
