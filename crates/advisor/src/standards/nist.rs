//! NIST SP 800-190: the countermeasures on the network.

use super::{Control, ENFORCED, Fact, Live, Standard};
use crate::rule::Code;

pub(super) static NIST_800_190: Standard = Standard {
    id: "nist-800-190",
    title: "NIST SP 800-190, Application Container Security Guide",
    edition: "September 2017",
    controls: &[
        Control {
            number: "4.3.3",
            title: "network traffic between containers is separated",
            meaning: "policies are enforced, isolate every pod both ways, select whom they are \
                      for, and no peer means every namespace",
            rules: &[
                Code(101),
                Code(102),
                Code(201),
                Code(202),
                Code(203),
                Code(204),
                Code(503),
                Code(701),
            ],
            facts: &[Fact::IngressOpen],
            live: Some(ENFORCED),
        },
        Control {
            number: "4.4.2",
            title: "containers have no unbounded network access",
            meaning: "policies isolate every pod for egress, no rule opens cloud metadata, the \
                      internet, every port, or DNS to anywhere, and no cluster-wide rule accepts \
                      more than it names",
            rules: &[
                Code(101),
                Code(201),
                Code(202),
                Code(203),
                Code(207),
                Code(304),
                Code(401),
                Code(402),
                Code(403),
                Code(404),
                Code(405),
                Code(501),
                Code(502),
                Code(508),
                Code(703),
            ],
            facts: &[],
            live: Some(ENFORCED),
        },
        Control {
            number: "4.4.3",
            title: "containers do not run in the network of their host",
            meaning: "no workload uses hostNetwork but agents of the node, and the Pod Security \
                      level of every namespace refuses it",
            rules: &[Code(103), Code(104)],
            facts: &[],
            live: Some(Live {
                what: "how the runtimes on the nodes are configured",
                how: "inspect them there; the control asks for more than the network",
            }),
        },
    ],
};
