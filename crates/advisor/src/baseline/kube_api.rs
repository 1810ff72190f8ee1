use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use ringfence_model::protocol::Protocol;

use super::proposed::{ProposedPolicy, block, egress, ports, selector, to};
use super::request::{BaselineError, KubeApi, PortRange, Request};
use crate::context::{Context, NOT_BY_BLOCK, is_out_of_blocks};

/// Where the API servers are.
#[derive(Clone, Debug)]
pub(super) struct ApiServers {
    /// What connections end at.
    pub(super) endpoints: BTreeSet<SocketAddr>,
    /// The addresses of the Service, where policies are judged before it is translated.
    before_translation: BTreeSet<SocketAddr>,
}

/// The Service in front of the API servers.
const SERVICE: (&str, &str) = ("default", "kubernetes");

impl ApiServers {
    /// Those of the input, or those that are said.
    pub(super) fn find(
        context: &Context<'_>,
        said: &KubeApi,
        notes: &mut Vec<String>,
    ) -> Result<Self, BaselineError> {
        let found = in_input(context);
        let endpoints: BTreeSet<SocketAddr> = match said {
            KubeApi::At(endpoints) if !endpoints.is_empty() => endpoints.iter().copied().collect(),
            KubeApi::At(_) | KubeApi::FromInput => found.clone(),
        };
        if endpoints.is_empty() {
            return Err(BaselineError::NoApiServer);
        }
        if !found.is_subset(&endpoints) {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            notes.push(format!(
                "in the input the API server answers at {}, and allow-kube-api is for another \
                 address",
                found.join(", ")
            ));
        }
        let before_translation = match context.engine.profile().judges_before_dnat {
            true => of_service(context),
            false => BTreeSet::new(),
        };
        Ok(Self {
            endpoints,
            before_translation,
        })
    }

    /// Why no policy could let pods reach them, if so: none of their addresses is matched by
    /// any block in this profile.
    pub(super) fn out_of_blocks(&self, context: &Context<'_>) -> Option<BaselineError> {
        let mut all = self.endpoints.iter().chain(&self.before_translation);
        let endpoint = self.endpoints.first()?;
        let profile = context.engine.profile().name;
        all.all(|endpoint| is_out_of_blocks(context, endpoint.ip()))
            .then_some(BaselineError::ApiServerOnNode(
                *endpoint,
                profile,
                NOT_BY_BLOCK,
            ))
    }

    /// The policy for a namespace.
    pub(super) fn policy(&self, namespace: &str, request: &Request) -> ProposedPolicy {
        let mut by_port: BTreeMap<u16, Vec<IpAddr>> = BTreeMap::new();
        for endpoint in self.endpoints.iter().chain(&self.before_translation) {
            let addresses = by_port.entry(endpoint.port()).or_default();
            addresses.push(endpoint.ip());
        }
        let rules = by_port.into_iter().map(|(port, mut addresses)| {
            addresses.sort_unstable();
            addresses.dedup();
            let peers = addresses.into_iter().map(IpNet::from);
            let peers = peers.map(|net| block(net, Vec::new())).collect();
            to(peers, ports([tcp(port)]))
        });
        let who = super::who(&request.pods);
        let proposed = ProposedPolicy::network(
            namespace,
            "allow-kube-api",
            &format!("{who} may connect to the Kubernetes API"),
            egress(selector(&request.pods), rules.collect()),
        )
        .saying(
            "Where connections to the Service default/kubernetes end: policies are judged after \
             its address has been translated, so the Service's own address and port 443 would \
             allow nothing. Write it again when the API servers move (`kubectl get endpointslice \
             -n default`).",
        );
        let proposed = match self.before_translation.is_empty() {
            true => proposed,
            false => proposed.saying(
                "The Service's own address is in it too, since this data plane judges before \
                 translation.",
            ),
        };
        match request.pods.is_empty() {
            true => proposed.ignoring(&["RF504 the API server was asked for all pods"]),
            false => proposed,
        }
    }
}

fn tcp(port: u16) -> PortRange {
    PortRange {
        protocol: Protocol::Tcp,
        start: port,
        end: port,
    }
}

/// The endpoints of `default/kubernetes`, whether or not its Service is in the input.
fn in_input(context: &Context<'_>) -> BTreeSet<SocketAddr> {
    let (namespace, name) = SERVICE;
    let snapshot = context.snapshot;
    let slices = snapshot.endpoint_slices.iter().filter(|slice| {
        &*snapshot.namespace(slice.namespace).name == namespace
            && slice.service.as_deref() == Some(name)
    });
    let mut endpoints = BTreeSet::new();
    for slice in slices {
        let over_tcp = slice.ports.iter().filter(|p| p.protocol == Protocol::Tcp);
        for port in over_tcp {
            let addresses = slice.addresses.iter();
            endpoints.extend(addresses.map(|a| SocketAddr::new(a.address, port.port)));
        }
    }
    endpoints
}

/// The addresses of the Service itself.
fn of_service(context: &Context<'_>) -> BTreeSet<SocketAddr> {
    let (namespace, name) = SERVICE;
    let Some(id) = context.snapshot.find_service(namespace, name) else {
        return BTreeSet::new();
    };
    let service = context.snapshot.service(id);
    let ports = service.ports.iter().filter(|p| p.protocol == Protocol::Tcp);
    ports
        .flat_map(|port| {
            let addresses = service.cluster_ips.iter();
            addresses.map(|address| SocketAddr::new(*address, port.port))
        })
        .collect()
}
