//! PCI DSS: requirement 1, as far as a cluster's policies are network security controls.

use super::{Control, ENFORCED, Fact, Live, Standard};
use crate::rule::Code;

pub(super) static PCI: Standard = Standard {
    id: "pci",
    title: "PCI DSS, requirement 1",
    edition: "4.0",
    controls: &[
        Control {
            number: "1.2.5",
            title: "what is allowed is known, approved and needed",
            meaning: "nothing is allowed for want of isolation, rules name their ports and leave no \
                      protocol to be guessed, no cluster-wide rule accepts more than it names, and \
                      every policy that allows says why in its annotations",
            rules: &[Code(201), Code(502), Code(510), Code(601), Code(703)],
            facts: &[],
            live: None,
        },
        Control {
            number: "1.2.7",
            title: "rules are reviewed every six months",
            meaning: "no justification has expired, and no rule has become superfluous",
            rules: &[Code(601), Code(602)],
            facts: &[],
            live: Some(Live {
                what: "whether somebody has reviewed them",
                how: "keep the records of the reviews; an expiry date in the annotations makes \
                      RF601 remind of them",
            }),
        },
        Control {
            number: "1.3.1",
            title: "traffic into cardholder data environments is restricted",
            meaning: "policies isolate every pod for ingress, and no pod is in its node's network",
            rules: &[Code(103), Code(204), Code(701)],
            facts: &[Fact::IngressOpen],
            live: Some(ENFORCED),
        },
        Control {
            number: "1.3.2",
            title: "traffic out of cardholder data environments is restricted",
            meaning: "policies isolate every pod for egress, no rule opens cloud metadata, the \
                      internet, or DNS to anywhere, and no cluster-wide rule accepts more than it \
                      names",
            rules: &[
                Code(103),
                Code(201),
                Code(202),
                Code(203),
                Code(204),
                Code(207),
                Code(304),
                Code(401),
                Code(402),
                Code(403),
                Code(404),
                Code(501),
                Code(508),
                Code(701),
                Code(703),
            ],
            facts: &[],
            live: Some(ENFORCED),
        },
        Control {
            number: "1.4.1",
            title: "controls stand between trusted and untrusted networks",
            meaning: "the network plugin enforces policies, in a version without known faults, \
                      and no workload bypasses it",
            rules: &[Code(101), Code(102), Code(103)],
            facts: &[],
            live: Some(ENFORCED),
        },
        Control {
            number: "1.4.2",
            title: "untrusted networks reach only what is meant for them",
            meaning: "policies isolate every pod for ingress",
            rules: &[Code(103)],
            facts: &[Fact::IngressOpen],
            live: Some(Live {
                what: "what load balancers and firewalls in front of the cluster let in",
                how: "look at them; `ringfence reach` shows what is open from outside behind them",
            }),
        },
        Control {
            number: "1.4.4",
            title: "stored cardholder data is out of reach of untrusted networks",
            meaning: "policies isolate every pod for ingress and egress",
            rules: &[Code(201), Code(501)],
            facts: &[Fact::IngressOpen],
            live: Some(Live {
                what: "which workloads store cardholder data",
                how: "name them in an assertion file (`forbids: from internet`), and run \
                      `ringfence assert`",
            }),
        },
    ],
};
