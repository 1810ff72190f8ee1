//! Which command says why a connection is predicted as it is.

use std::cell::LazyCell;
use std::net::IpAddr;

use ringfence_engine::Engine;
use ringfence_lab::run::{Purpose, Row};
use ringfence_model::protocol::Protocol;

use crate::endpoint::{EndpointArg, Resolver};
use crate::output::shell;
use crate::packets::{self, Ports};

/// What `ringfence explain` answers from: the manifests alone, without what the lab adds.
#[derive(Debug)]
pub(crate) struct Explaining {
    /// The policies of the manifests, compiled when it is first asked.
    pub(crate) engine: LazyCell<Engine, Box<dyn FnOnce() -> Engine>>,
    /// The namespace of what names none.
    pub(crate) namespace: String,
    /// The options that have it read the same manifests in the same way, each with a space
    /// before it.
    pub(crate) options: String,
}

impl Explaining {
    /// The command that says why; `None` where it could not answer, or would say something
    /// else, because the manifests lack what the lab has added.
    pub(super) fn command(&self, row: &Row) -> Option<String> {
        let from = &row.question.from.group;
        let to = destination(row)?;
        let resolver = Resolver::new(self.engine.snapshot(), &self.namespace);
        let resolved = |text: &str| {
            let endpoint: EndpointArg = text.parse().ok()?;
            resolver.resolve(&endpoint).ok()
        };
        let ends = (resolved(from)?, resolved(&to)?);
        let answer = packets::judge(&self.engine, &ends.0, &ends.1, &Ports::AsNamed).ok()?;
        let mut outcomes = answer.outcomes.iter();
        let says_so = outcomes.any(|outcome| outcome.verdict == row.predicted);
        let (from, to) = (shell::word(from), shell::word(&to));
        says_so.then(|| format!("ringfence explain {from} {to}{}", self.options))
    }
}

/// The destination as it is typed: policies see addresses and no names of the internet. `None`
/// for a way into the cluster: `explain` knows no node that translates between.
fn destination(row: &Row) -> Option<String> {
    let (to, probe) = (&row.question.to, &row.question.probe);
    let is_of_the_cluster = match row.question.purpose {
        Purpose::Pod | Purpose::Service | Purpose::ApiServer => true,
        Purpose::Dns => to.group.starts_with("svc:"),
        Purpose::Internet | Purpose::Metadata | Purpose::Ping => false,
        Purpose::NodePort | Purpose::External => return None,
    };
    let name = match probe.to {
        _ if is_of_the_cluster => to.group.clone(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    Some(match probe.protocol {
        Protocol::Icmp => format!("{name}:icmp"),
        Protocol::Tcp => format!("{name}:{}", probe.port),
        protocol => format!(
            "{name}:{}/{}",
            probe.port,
            protocol.to_string().to_lowercase()
        ),
    })
}
