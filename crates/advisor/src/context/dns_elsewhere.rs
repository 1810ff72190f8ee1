//! Name servers that nobody recognises. Where the input has none that are known by their
//! Service or their labels, those of nearly every cluster are assumed; what is said of them
//! is not certain where the input hints at others.

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{ServiceEndpoint, ServiceId};

use super::{Context, Group, WrittenRule};

/// The Service for queries that the pods of a group may ask, where the name servers of the
/// cluster were assumed.
pub(super) fn may_ask(context: &Context<'_>, group: &Group) -> Option<ServiceId> {
    if !context.dns.assumed {
        return None;
    }
    let mut services = context.snapshot.service_ids();
    let found = services.find(|(id, service)| {
        let queries = service.ports.iter();
        let mut queries = queries.filter(|p| p.port == 53 && p.protocol == Protocol::Udp);
        queries.any(|port| {
            let endpoints = context.snapshot.service_endpoints(*id, port);
            endpoints
                .iter()
                .any(|endpoint| reaches(context, group, endpoint))
        })
    });
    found.map(|(id, _)| id)
}

fn reaches(context: &Context<'_>, group: &Group, endpoint: &ServiceEndpoint) -> bool {
    let (destination, port) = match endpoint {
        ServiceEndpoint::Pod { pod, port, .. } => (Peer::Pod(*pod), *port),
        ServiceEndpoint::Address { address, port } => (Peer::Address(*address), *port),
    };
    let families = context
        .snapshot
        .families_of(context.snapshot.pod(group.first));
    let mut families = families.into_iter().filter(|family| match destination {
        Peer::Pod(pod) => {
            let of_server = context.snapshot.families_of(context.snapshot.pod(pod));
            of_server.contains(family)
        }
        Peer::Address(address) => ringfence_model::address::IpFamily::of(address) == *family,
    });
    families.any(|family| {
        let query = Packet {
            source: Peer::Pod(group.first),
            destination,
            family,
            protocol: Protocol::Udp,
            port,
            through_service: None,
        };
        context.engine.can(&query) != Verdict::Denied
    })
}

/// Whether a rule means name servers by a namespace that nothing of the input is in, and
/// that is not the one in which they were assumed.
pub(super) fn names_unseen(context: &Context<'_>, rule: &WrittenRule<'_>) -> bool {
    let named = |selector: &LabelSelector| {
        let labels = selector.match_labels.as_ref()?;
        labels.get(METADATA_NAME).cloned()
    };
    let is_unseen = |name: &str| match context.snapshot.find_namespace(name) {
        None => true,
        Some(id) => {
            let mut services = context.snapshot.services.iter();
            context.snapshot.pods_in(id).next().is_none()
                && !services.any(|service| service.namespace == id)
        }
    };
    let selectors = rule
        .peers
        .iter()
        .filter_map(|p| p.namespace_selector.as_ref());
    let mut names = selectors.filter_map(named);
    names.any(|name| is_unseen(&name))
}
