//! CIS Kubernetes Benchmark: the controls on the network.

use super::{Control, ENFORCED, Fact, Live, Standard};
use crate::rule::Code;

pub(super) static CIS: Standard = Standard {
    id: "cis",
    title: "CIS Kubernetes Benchmark",
    edition: "numbers as in 1.8 and later",
    controls: &[
        Control {
            number: "5.2.5",
            title: "few pods may share the network of their node",
            meaning: "no workload uses hostNetwork but agents of the node, and the Pod Security \
                      level of every namespace refuses it",
            rules: &[Code(103), Code(104)],
            facts: &[],
            live: Some(Live {
                what: "whether the API server refuses such pods",
                how: "`kubectl run x --image=x --dry-run=server` with `hostNetwork: true` in \
                      `--overrides`, in each namespace",
            }),
        },
        Control {
            number: "5.3.1",
            title: "the network plugin supports policies",
            meaning: "the network plugin enforces NetworkPolicy, and is told to",
            rules: &[Code(101)],
            facts: &[],
            live: Some(ENFORCED),
        },
        Control {
            number: "5.3.2",
            title: "every namespace has policies",
            meaning: "every namespace that has pods has a NetworkPolicy, and each policy selects \
                      some pod; the namespaces of the control plane are left out",
            rules: &[Code(204)],
            facts: &[Fact::NoPolicy],
            live: None,
        },
    ],
};
