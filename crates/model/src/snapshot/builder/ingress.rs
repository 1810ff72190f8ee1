use std::sync::Arc;

use k8s_openapi::api::networking::v1 as networking;

use super::collect::Named;
use super::interner::Interner;
use super::namespaces::NamespaceIds;
use super::notices::Notices;
use crate::snapshot::{IngressRoute, NamespaceId, PortRef};
use crate::source::KeyPath;

/// A route whose namespace has no index yet.
#[derive(Debug)]
pub(super) struct Entry {
    namespace: Arc<str>,
    route: IngressRoute,
}

/// Reads the service backends of all Ingress objects. A `resource` backend is no way
/// to a pod that could be followed.
pub(super) fn read_ingresses(
    objects: Vec<Named<Box<networking::Ingress>>>,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for named in &objects {
        let Some(spec) = &named.object.spec else {
            continue;
        };
        let root = KeyPath::root().key("spec");
        if let Some(backend) = &spec.default_backend {
            let path = || root.key("defaultBackend");
            entries.extend(entry(named, backend, None, None, &path, interner, notices));
        }
        for (index, rule) in spec.rules.iter().flatten().enumerate() {
            let host = rule.host.as_deref().filter(|host| !host.is_empty());
            let paths = rule.http.iter().flat_map(|http| &http.paths).enumerate();
            for (position, served) in paths {
                let path = || {
                    let http = root.key("rules").index(index).key("http");
                    http.key("paths").index(position).key("backend")
                };
                // A path that is not written is a prefix of every path.
                let url_path = served.path.as_deref().filter(|path| !path.is_empty());
                entries.extend(entry(
                    named,
                    &served.backend,
                    host,
                    Some(url_path.unwrap_or("/")),
                    &path,
                    interner,
                    notices,
                ));
            }
        }
    }
    entries
}

fn entry(
    named: &Named<Box<networking::Ingress>>,
    backend: &networking::IngressBackend,
    host: Option<&str>,
    url_path: Option<&str>,
    path: &dyn Fn() -> KeyPath,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Option<Entry> {
    let service = backend.service.as_ref()?;
    let port = service.port.as_ref()?;
    let name = port.name.as_deref().filter(|name| !name.is_empty());
    let port = match (name, port.number) {
        (Some(name), _) => PortRef::Name(name.into()),
        (None, Some(number)) => PortRef::Number(notices.port(named.subject(), number, || {
            path().key("service").key("port").key("number")
        })?),
        (None, None) => return None,
    };
    Some(Entry {
        namespace: named.namespace(),
        route: IngressRoute {
            namespace: NamespaceId(0),
            ingress: Arc::clone(&named.id.name),
            host: host.map(Into::into),
            path: url_path.map(Into::into),
            service: interner.name(&service.name),
            port,
            origin: named.origin.clone(),
        },
    })
}

/// The routes, sorted by namespace, Ingress name, host and path.
pub(super) fn routes(entries: Vec<Entry>, namespace_ids: &NamespaceIds) -> Vec<IngressRoute> {
    let mut routes: Vec<IngressRoute> = entries
        .into_iter()
        .filter_map(|entry| {
            let namespace = *namespace_ids.get(&entry.namespace)?;
            Some(IngressRoute {
                namespace,
                ..entry.route
            })
        })
        .collect();
    routes.sort_by(|a, b| order(a).cmp(&order(b)));
    routes
}

fn order(route: &IngressRoute) -> impl Ord + '_ {
    (
        route.namespace,
        &route.ingress,
        &route.host,
        &route.path,
        &route.service,
        &route.port,
    )
}
