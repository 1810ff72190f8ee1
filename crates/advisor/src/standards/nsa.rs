//! NSA/CISA Kubernetes Hardening Guide: network separation, and pods.

use super::{Control, ENFORCED, Fact, Live, Standard};
use crate::rule::Code;

pub(super) static NSA: Standard = Standard {
    id: "nsa",
    title: "NSA/CISA Kubernetes Hardening Guide",
    edition: "1.2; the guide has no numbers, these are by chapter",
    controls: &[
        Control {
            number: "network-1",
            title: "a network plugin that enforces policies",
            meaning: "the network plugin enforces NetworkPolicy, in a version without known \
                      faults",
            rules: &[Code(101), Code(102)],
            facts: &[],
            live: Some(ENFORCED),
        },
        Control {
            number: "network-2",
            title: "default deny, both ways",
            meaning: "in every namespace, policies isolate every pod for egress and for ingress, \
                      and this does not hang on a policy that allows; whether they are enforced is asked \
                      in network-1",
            rules: &[
                Code(201),
                Code(202),
                Code(203),
                Code(207),
                Code(604),
                Code(605),
            ],
            facts: &[Fact::IngressOpen],
            live: None,
        },
        Control {
            number: "network-3",
            title: "policies select the pods they are for",
            meaning: "every namespace that has pods has policies, the selectors of every policy and of every peer match something, and \
                      no peer means every namespace",
            rules: &[Code(204), Code(205), Code(503)],
            facts: &[Fact::NoPolicy],
            live: None,
        },
        Control {
            number: "network-4",
            title: "cloud infrastructure is protected",
            meaning: "no pod reaches a cloud metadata endpoint",
            rules: &[Code(401), Code(402), Code(403), Code(404), Code(405)],
            facts: &[],
            live: Some(Live {
                what: "whether the metadata service gives nothing away",
                how: "ask it from a pod, and look at what the platform offers (IMDSv2 with a hop \
                      limit of 1, workload identity)",
            }),
        },
        Control {
            number: "network-5",
            title: "only the traffic that is needed",
            meaning: "rules name their ports, none opens the internet, private ranges or every \
                      namespace, and no cluster-wide rule accepts more than it names",
            rules: &[
                Code(304),
                Code(501),
                Code(502),
                Code(503),
                Code(508),
                Code(703),
            ],
            facts: &[],
            live: Some(Live {
                what: "whether what is allowed is needed",
                how: "compare `ringfence reach` with what the applications do",
            }),
        },
        Control {
            number: "pods-1",
            title: "pods keep out of their node's network",
            meaning: "no workload uses hostNetwork but agents of the node, and the Pod Security \
                      level of every namespace refuses it",
            rules: &[Code(103), Code(104)],
            facts: &[],
            live: Some(Live {
                what: "whether the API server refuses such pods",
                how: "try to create one in each namespace with `--dry-run=server`",
            }),
        },
    ],
};
