//! Step 6: whose network the pod is in.

use ringfence_model::snapshot::PodId;

use super::{Evidence, Question, Status, Step};
use crate::context::{Context, Group};
use crate::rules::host_network_place;

/// Step 6.
pub(super) fn host_network(context: &Context<'_>, group: &Group, pod: PodId) -> Step {
    if !group.host_network {
        return Step {
            question: Question::HostNetwork,
            status: Status::Ok,
            says: "it does not use hostNetwork".to_owned(),
            help: None,
            evidence: Vec::new(),
        };
    }
    let place = host_network_place(context, context.snapshot.pod(pod).workload);
    Step {
        question: Question::HostNetwork,
        status: Status::NotOk,
        says: "it is in the network of its node (hostNetwork), where no policy applies".to_owned(),
        help: Some(
            "take `hostNetwork: true` out; where that cannot be, move the workload to a namespace \
             that holds nothing else and close cloud metadata on the nodes"
                .to_owned(),
        ),
        evidence: vec![Evidence {
            text: "this puts it there".to_owned(),
            place,
        }],
    }
}
