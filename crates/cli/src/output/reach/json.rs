//! `Reachability` as JSON, one connection to a line.
//!
//! A large cluster has hundreds of thousands of connections between few distinct
//! ends with few distinct sets of ports: each is made into text once.

use std::io::{self, Write};

use ringfence_engine::reach::{Connection, End};
use ringfence_engine::sets::PortSet;
use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Report, bypassing};
use crate::output::contract::{
    ApiVersion, EndOut, ObjectOut, PortsOut, ProblemOut, ProfileOut, VerdictOut, icmp, problems,
};

/// Who can reach whom. Pairs with nothing allowed and nothing unknown are left out.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Reachability")]
pub(crate) struct ReachabilityOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: ReachabilityKind,
    pub(crate) profile: ProfileOut,
    /// What is wrong with the input. If one of them has `leftOut`, the answer is
    /// without something.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    /// The workloads with host-networked pods, which no policy applies to.
    pub(crate) bypass_policy: Vec<ObjectOut>,
    /// Sorted by `from`, then `to`; those from addresses last.
    pub(crate) connections: Vec<ConnectionOut>,
    /// Ways into the cluster: Ingress routes, and services of type `NodePort` and
    /// `LoadBalancer`.
    pub(crate) entry_points: Vec<EntryPointOut>,
}

/// `kind`; always `Reachability`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum ReachabilityKind {
    #[default]
    Reachability,
}

/// What one end can open to another.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ConnectionOut {
    pub(crate) from: EndOut,
    pub(crate) to: EndOut,
    /// Allowed for certain: at least one pod of the one reaches at least one of the
    /// other.
    pub(crate) allow: PortsOut,
    /// Not known from this input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maybe: Option<PortsOut>,
    /// Whether echo requests pass. Absent: they are denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icmp: Option<VerdictOut>,
}

/// A way into the cluster, and whether policies let it through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryPointOut {
    /// `Ingress`, `NodePort`, `LoadBalancer`, or `ExternalIP` for a service with
    /// `externalIPs`.
    pub(crate) via: String,
    /// The name of the Ingress or Service, with its namespace.
    pub(crate) object: String,
    /// The host and path of an Ingress route; the address and port of a service.
    pub(crate) exposes: String,
    /// Who connects: the ingress controller, or addresses outside the cluster.
    pub(crate) from: String,
    /// The service and its port.
    pub(crate) service: String,
    /// The workload behind it; absent when the service leads nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// The port on the pod, such as `8080/TCP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_port: Option<String>,
    /// Absent when there is nothing to connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<VerdictOut>,
}

/// The whole report as one value.
pub(crate) fn document(report: &Report<'_>) -> ReachabilityOut {
    ReachabilityOut {
        connections: report
            .reachability
            .connections
            .iter()
            .map(|connection| ConnectionOut {
                from: EndOut::new(report.snapshot, &connection.from),
                to: EndOut::new(report.snapshot, &connection.to),
                allow: PortsOut::from(&connection.allow),
                maybe: maybe(&connection.maybe),
                icmp: icmp(&connection.allow, &connection.maybe),
            })
            .collect(),
        ..frame(report)
    }
}

/// Everything but the connections.
fn frame(report: &Report<'_>) -> ReachabilityOut {
    ReachabilityOut {
        api_version: ApiVersion::V1Alpha1,
        kind: ReachabilityKind::Reachability,
        profile: ProfileOut::from(report.profile),
        problems: problems(report.diagnostics),
        bypass_policy: bypassing(report.snapshot)
            .into_iter()
            .map(|id| ObjectOut::workload(report.snapshot, id))
            .collect(),
        connections: Vec::new(),
        entry_points: report
            .entry_points
            .iter()
            .map(|point| point.out())
            .collect(),
    }
}

fn maybe(ports: &PortSet) -> Option<PortsOut> {
    let out = PortsOut::from(ports);
    (out != PortsOut::default()).then_some(out)
}

/// A connection of which every part is text already.
#[derive(Serialize)]
struct RawConnection<'a> {
    from: &'a RawValue,
    to: &'a RawValue,
    allow: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<VerdictOut>,
}

/// Writes the same document as [`document`], a connection at a time.
pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let frame = frame(report);
    let field = |out: &mut dyn Write, name: &str, value: &dyn ErasedJson, last: bool| {
        write!(out, "  \"{name}\": {}", value.lines()?)?;
        out.write_all(if last { b"\n" } else { b",\n" })
    };
    out.write_all(b"{\n")?;
    field(out, "apiVersion", &frame.api_version, false)?;
    field(out, "kind", &frame.kind, false)?;
    field(out, "profile", &frame.profile, false)?;
    if !frame.problems.is_empty() {
        field(out, "problems", &frame.problems, false)?;
    }
    field(out, "bypassPolicy", &frame.bypass_policy, false)?;
    out.write_all(b"  \"connections\": [")?;
    write_connections(report, out)?;
    out.write_all(b"],\n")?;
    field(out, "entryPoints", &frame.entry_points, true)?;
    out.write_all(b"}\n")
}

fn write_connections(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let connections = &report.reachability.connections;
    let mut ends: FxHashMap<&End, Box<RawValue>> = FxHashMap::default();
    let mut ports: FxHashMap<&PortSet, Box<RawValue>> = FxHashMap::default();
    for Connection {
        from,
        to,
        allow,
        maybe,
    } in connections
    {
        for end in [from, to] {
            if !ends.contains_key(end) {
                ends.insert(end, to_raw_value(&EndOut::new(report.snapshot, end))?);
            }
        }
        for set in [allow, maybe] {
            if !ports.contains_key(set) {
                ports.insert(set, to_raw_value(&PortsOut::from(set))?);
            }
        }
    }
    let missing = || io::Error::other("a part of a connection was not prepared");
    for (position, connection) in connections.iter().enumerate() {
        let ports_of = |set| ports.get(set).map(|raw| &**raw).ok_or_else(missing);
        let end = |end| ends.get(end).map(|raw| &**raw).ok_or_else(missing);
        let has_maybe = maybe(&connection.maybe).is_some();
        let raw = RawConnection {
            from: end(&connection.from)?,
            to: end(&connection.to)?,
            allow: ports_of(&connection.allow)?,
            maybe: has_maybe.then(|| ports_of(&connection.maybe)).transpose()?,
            icmp: icmp(&connection.allow, &connection.maybe),
        };
        out.write_all(if position == 0 { b"\n    " } else { b",\n    " })?;
        serde_json::to_writer(&mut *out, &raw)?;
    }
    if !connections.is_empty() {
        out.write_all(b"\n  ")?;
    }
    Ok(())
}

/// A value as indented JSON that fits behind a key of the outermost object.
trait ErasedJson {
    fn lines(&self) -> io::Result<String>;
}

impl<T: Serialize> ErasedJson for T {
    fn lines(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)?.replace('\n', "\n  "))
    }
}
