//! Steps 1 and 5: what the network plugin does with policies.

use super::{Evidence, Question, Status, Step};
use crate::context::{CniPart, Context, Enforcement};

const PROVE: &str = "prove it on the cluster: deny everything in a namespace made for it, and try \
                     to connect from there";

/// Step 1. Manifests can show that policies are not enforced, never that they are.
pub(super) fn enforcement(context: &Context<'_>) -> Step {
    let cni = &context.cni;
    let step = |status, says: String, help: &str, evidence| Step {
        question: Question::Enforcement,
        status,
        says,
        help: Some(help.to_owned()),
        evidence,
    };
    let shown = || cni.deciding().map(evidence).collect::<Vec<_>>();
    match cni.enforcement() {
        None => step(
            Status::NotVerified,
            "the input has no network plugin, so that it cannot be told".to_owned(),
            "give the plugin's manifests too (`kubectl get daemonsets -A -o yaml`), and prove it \
             on the cluster: deny everything in a namespace made for it, and try to connect from \
             there",
            Vec::new(),
        ),
        Some(Enforcement::DoesNot) => {
            let part = cni.deciding().next();
            let plugin = part.map_or_else(String::new, |part| part.plugin.to_string());
            let help = part.map_or("", |part| part.plugin.how_to_enforce());
            let says = format!("{plugin} does not enforce policies, and nothing else does");
            step(Status::NotOk, says, help, shown())
        }
        Some(Enforcement::Enforces) => step(
            Status::NotVerified,
            "the manifests say so, and only the cluster can show it".to_owned(),
            PROVE,
            shown(),
        ),
        Some(Enforcement::Unclear) => step(
            Status::NotVerified,
            "the manifests do not say".to_owned(),
            PROVE,
            shown(),
        ),
    }
}

fn evidence(part: &CniPart) -> Evidence {
    Evidence {
        text: part.in_words(),
        place: part.place.clone(),
    }
}

/// Step 5.
pub(super) fn version(context: &Context<'_>) -> Step {
    let mut old = Vec::new();
    let mut untold = Vec::new();
    let mut sound = Vec::new();
    for part in &context.cni.parts {
        let Some(first) = part.plugin.first_sound() else {
            continue;
        };
        match part.version {
            Some(version) if version < first => old.push((part, version, first)),
            Some(version) => sound.push(format!("{} {version}", part.plugin)),
            None => untold.push((part, first)),
        }
    }
    let seen = |part: &CniPart| Evidence {
        text: format!("{} runs {}", part.object, part.image),
        place: part.place.clone(),
    };
    let step = |status, says: String, help, evidence| Step {
        question: Question::PluginVersion,
        status,
        says,
        help,
        evidence,
    };
    if let Some((part, version, first)) = old.first() {
        let plugin = part.plugin;
        return step(
            Status::NotOk,
            format!("{plugin} {version} has known faults in enforcing egress policies"),
            Some(format!("upgrade to {plugin} {first} or later")),
            old.iter().map(|(part, ..)| seen(part)).collect(),
        );
    }
    if let Some((part, first)) = untold.first() {
        return step(
            Status::NotVerified,
            format!("whether {} is {first} or later cannot be told", part.plugin),
            Some("name the version in the image's tag, or ask the running agent".to_owned()),
            untold.iter().map(|(part, _)| seen(part)).collect(),
        );
    }
    if !sound.is_empty() {
        let says = format!("{}: no known faults in egress", sound.join(", "));
        return step(Status::Ok, says, None, Vec::new());
    }
    let says = match context.cni.parts.first() {
        Some(part) => format!("no faults of old versions of {} are on record", part.plugin),
        None => "the input has no network plugin, so that it cannot be told".to_owned(),
    };
    let how = "Calico before 3.20 and Cilium before 1.10 are known not to hold egress policies";
    step(Status::NotVerified, says, Some(how.to_owned()), Vec::new())
}
