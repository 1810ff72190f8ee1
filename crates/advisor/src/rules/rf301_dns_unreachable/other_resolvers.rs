//! Pods that ask other name servers than those of the cluster (`dnsPolicy`), under policies
//! that may keep them from that.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_engine::Verdict;
use ringfence_model::snapshot::{NamespaceId, PodId};

use super::RULE;
use crate::context::{Asked, Context, DnsReach};
use crate::finding::NotVerified;

/// Whether such pods can resolve names, where that is not known or they cannot ask.
pub(super) fn questions(context: &Context<'_>) -> Vec<NotVerified> {
    type Key = (NamespaceId, Vec<IpAddr>, bool);
    let mut asking: BTreeMap<Key, Vec<PodId>> = BTreeMap::new();
    let groups = context.groups().iter().filter(|group| !group.host_network);
    for group in groups {
        for pod in &group.pods {
            let asked = context.asked_by(*pod);
            let Asked::Others(named) = &asked else {
                continue;
            };
            let is_denied = match context.reach_of_others(group, &asked) {
                Some(DnsReach { udp, tcp }) => {
                    if udp == Verdict::Allowed || tcp == Verdict::Allowed {
                        continue;
                    }
                    udp == Verdict::Denied && tcp == Verdict::Denied
                }
                None => false,
            };
            let key = (group.namespace, named.clone(), is_denied);
            asking.entry(key).or_default().push(*pod);
        }
    }
    asking
        .into_iter()
        .map(|((_, named, is_denied), pods)| {
            let who = context.list(&context.workloads(pods));
            let named: Vec<String> = named.iter().map(ToString::to_string).collect();
            let (whom, how) = match named.as_slice() {
                [] => (
                    "those of its node, whose addresses are not in the input".to_owned(),
                    "look at `/etc/resolv.conf` of the nodes, and ask for the address there: \
                     `ringfence explain POD ADDRESS:53/udp`"
                        .to_owned(),
                ),
                [first, ..] => (
                    named.join(" and "),
                    format!("`ringfence explain POD {first}:53/udp` says why"),
                ),
            };
            let verdict = match is_denied {
                true => ", and nothing lets it ask them",
                false => "",
            };
            NotVerified {
                code: RULE.code,
                what: format!("whether {who} can resolve names"),
                why: format!("by its `dnsPolicy` a pod there asks {whom}{verdict}"),
                how,
            }
        })
        .collect()
}
