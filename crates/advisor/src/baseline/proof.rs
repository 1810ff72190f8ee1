use ringfence_engine::Verdict;

use super::Piece;
use super::namespaces::Target;
use super::proposed::ProposedPolicy;
use crate::check::Input;
use crate::context::{Context, Group};

/// Judges the cluster with the proposed policies in it, and notes what they do not bring
/// about: policies add up, so that what another one opens stays open.
pub(super) fn add_notes(
    context: &Context<'_>,
    targets: &[Target],
    pieces: &[Piece],
    policies: &[ProposedPolicy],
    notes: &mut Vec<String>,
) {
    let mut engine = context.engine.clone();
    for proposed in policies {
        engine.upsert_policy(proposed.policy.clone());
    }
    let after = Context::new(&Input {
        engine: &engine,
        sources: context.sources,
        diagnostics: context.diagnostics,
        inventory: context.inventory,
        assumed_dns: context.dns.assumed,
        options: context.options,
    });
    let with_dns = pieces.iter().any(|p| matches!(p, Piece::NameServers(_)));
    let with_internet = pieces.iter().any(|p| matches!(p, Piece::Internet(_)));
    for target in targets {
        let mut say = |what: &str, concerned: &dyn Fn(usize, &Group) -> bool, why: &str| {
            let groups = target.groups(&after);
            let groups = groups.filter(|(index, group)| concerned(*index, group));
            let pods = groups.flat_map(|(_, group)| group.pods.iter().copied());
            let workloads = after.workloads(pods);
            if !workloads.is_empty() {
                notes.push(format!("{} {what}: {why}", after.list(&workloads)));
            }
        };
        if with_dns {
            let has = |group: &Group, wanted: Verdict| {
                let reach = after.dns.reach(&engine, group);
                let is_asking = group.pods.iter().any(|pod| after.asks_cluster_dns(*pod));
                is_asking && (reach.udp == wanted || reach.tcp == wanted)
            };
            say(
                "cannot resolve names with these policies",
                &|_, group| has(group, Verdict::Denied),
                "the name servers of the input are others, or do not let them in, or a \
                 cluster-wide policy denies the queries (`ringfence explain` says which)",
            );
            say(
                "may not be able to resolve names with these policies",
                &|_, group| has(group, Verdict::Unknown) && !has(group, Verdict::Denied),
                "it depends on something that the input does not say (`ringfence explain` says \
                 what)",
            );
            let asks_others = |_: usize, group: &Group| {
                let mut pods = group.pods.iter();
                pods.any(|pod| !after.asks_cluster_dns(*pod) && !after.dns.is_server(*pod))
            };
            say(
                "may not be able to resolve names with these policies",
                &asks_others,
                "their `dnsPolicy` sends them to other name servers than those of the cluster: \
                 allow what they ask",
            );
        }
        const ADDS_UP: &str = "another policy allows it, and adding one cannot close that \
                               (`ringfence check` names the rule)";
        let reaches_metadata = |index: usize, _: &Group| {
            let exposures = after.exposures().get(index);
            let mut exposures = exposures.into_iter().flatten();
            exposures.any(|exposure| !exposure.open.allow.is_empty())
        };
        say("can still reach cloud metadata", &reaches_metadata, ADDS_UP);
        let reaches_internet = |index: usize, _: &Group| {
            let internet = after.internet().get(index);
            internet.is_some_and(|reach| reach.is_wide())
        };
        if !with_internet {
            say("can still reach the internet", &reaches_internet, ADDS_UP);
        }
    }
}
