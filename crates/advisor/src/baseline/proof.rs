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
            let unresolved = |_: usize, group: &Group| {
                let reach = after.dns.reach(&engine, group);
                let is_asking = !after.dns.is_server(group.first);
                is_asking && (reach.udp == Verdict::Denied || reach.tcp == Verdict::Denied)
            };
            say(
                "cannot resolve names with these policies",
                &unresolved,
                "the name servers of the input are others, or do not let them in (`ringfence \
                 explain` says which)",
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
