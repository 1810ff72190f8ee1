use std::cmp::Reverse;

use ringfence_engine::Engine;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;

use crate::context::{Context, Inventory, Options};
use crate::finding::Finding;
use crate::not_counted::NotCountedPolicy;
use crate::posture;
use crate::report::{Findings, Report, Suppressed};
use crate::{may_reach, not_counted, overlap, rules, suppress};

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The compiled cluster.
    pub engine: &'a Engine,
    /// The texts that it was read from.
    pub sources: &'a Sources,
    /// What was wrong with them.
    pub diagnostics: &'a [Diagnostic],
    /// What the snapshot leaves out of the objects.
    pub inventory: &'a Inventory,
    /// Whether the cluster's name servers are those of
    /// [`assumed_name_servers`](crate::context::assumed_name_servers).
    pub assumed_dns: bool,
    /// What was chosen.
    pub options: &'a Options,
}

/// Looks for everything that is wrong.
#[must_use]
pub fn check(input: &Input<'_>) -> Report {
    let context = Context::new(input);
    let mut findings = Findings::default();
    let wanted = rules::ALL
        .iter()
        .filter(|rule| input.options.wants(rule.code));
    for rule in wanted {
        (rule.check)(&context, &mut findings);
    }
    let Findings {
        found,
        mut suppressed,
        mut not_verified,
    } = findings;
    not_verified.extend(not_counted::questions(&context));
    not_verified.extend(may_reach::questions(&context));
    not_verified.sort();
    not_verified.dedup();
    let options = input.options;
    let mut findings = Vec::new();
    // Before anything is suppressed or called less bad: what somebody lives with must not
    // bring up another finding for the same thing.
    let mut found = found;
    let already = suppressed.iter_mut().map(|s| &mut s.finding);
    for finding in found.iter_mut().chain(already) {
        not_counted::hedge(&context, finding);
    }
    for mut finding in overlap::give_way(found) {
        let configured = options.severities.get(&finding.rule.code);
        finding.severity = configured.copied().unwrap_or(finding.severity);
        match suppress::reason(&context, &finding, &options.suppressions, options.today) {
            Some((reason, by)) => suppressed.push(Suppressed {
                finding,
                reason,
                by,
            }),
            None => {
                suppress::leave_out_workloads(&context, &mut finding);
                findings.push(finding);
            }
        }
    }
    let not_accepted = |policy: &NotCountedPolicy| {
        let mut accepted = suppressed.iter().map(|s| &s.finding.object);
        !accepted.any(|object| policy.is(object))
    };
    let not_counted = not_counted::concerning_pods(&context);
    let not_counted = not_counted.into_iter().filter(not_accepted).collect();
    Report {
        not_counted,
        findings: sorted(findings, |finding| finding, input.sources),
        suppressed: sorted(suppressed, |s| &s.finding, input.sources),
        not_verified,
        posture: posture::of(&context),
    }
}

/// Worst first; among equals by place, then by rule, object and message.
fn sorted<T>(items: Vec<T>, finding: impl Fn(&T) -> &Finding, sources: &Sources) -> Vec<T> {
    let mut keyed: Vec<_> = items
        .into_iter()
        .map(|item| {
            let finding = finding(&item);
            let place = finding.primary.as_ref().and_then(|p| p.locate(sources));
            // What has no place comes after what has one.
            let place = (place.is_none(), place);
            let key = (
                Reverse(finding.severity),
                place,
                finding.rule.code,
                finding.object.clone(),
                finding.message.clone(),
            );
            (key, item)
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed.into_iter().map(|(_, item)| item).collect()
}
