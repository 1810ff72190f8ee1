//! `Reachability` as JSON, one connection to a line.
//!
//! A large cluster has hundreds of thousands of connections between few distinct
//! ends with few distinct sets of ports: each is made into text once.

use std::io::{self, Write};

use ringfence_engine::reach::{EndId, OpenPorts, Reachability};
use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::Snapshot;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::{Report, bypassing};
use crate::output::contract::{
    ApiVersion, EndOut, ObjectOut, PortsOut, ProblemOut, ProfileOut, VerdictOut, icmp, problems,
};

/// Who can reach whom. Pairs with nothing allowed and nothing unknown are left out.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Reachability")]
pub(crate) struct ReachabilityOut<'a> {
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
    #[schemars(with = "Vec<ConnectionOut>")]
    pub(crate) connections: ConnectionsOut<'a>,
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

/// The connections of a report, made when they are written: there may be millions.
#[derive(Debug)]
pub(crate) struct ConnectionsOut<'a> {
    snapshot: &'a Snapshot,
    reachability: &'a Reachability,
}

impl Serialize for ConnectionsOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let connections = self.reachability.connections();
        serializer.collect_seq(connections.map(|connection| ConnectionOut {
            from: EndOut::new(self.snapshot, connection.from),
            to: EndOut::new(self.snapshot, connection.to),
            allow: PortsOut::from(connection.allow),
            maybe: maybe(connection.maybe),
            icmp: icmp(connection.allow, connection.maybe),
        }))
    }
}

/// The whole report as one value.
pub(crate) fn document<'a>(report: &Report<'a>) -> ReachabilityOut<'a> {
    ReachabilityOut {
        api_version: ApiVersion::V1Alpha1,
        kind: ReachabilityKind::Reachability,
        profile: ProfileOut::from(report.profile),
        problems: problems(report.diagnostics),
        bypass_policy: bypassing(report.snapshot)
            .into_iter()
            .map(|id| ObjectOut::workload(report.snapshot, id))
            .collect(),
        connections: ConnectionsOut {
            snapshot: report.snapshot,
            reachability: report.reachability,
        },
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

/// What is open, as text.
struct RawOpen {
    allow: Box<RawValue>,
    maybe: Option<Box<RawValue>>,
    icmp: Option<VerdictOut>,
}

impl RawOpen {
    fn new(open: &OpenPorts) -> io::Result<Self> {
        Ok(Self {
            allow: to_raw_value(&PortsOut::from(&open.allow))?,
            maybe: maybe(&open.maybe)
                .map(|ports| to_raw_value(&ports))
                .transpose()?,
            icmp: icmp(&open.allow, &open.maybe),
        })
    }
}

/// Writes the same document as [`document`], a connection at a time.
pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let frame = document(report);
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
    let reachability = report.reachability;
    let ends: Vec<Box<RawValue>> = reachability
        .ends()
        .iter()
        .map(|end| to_raw_value(&EndOut::new(report.snapshot, end)))
        .collect::<Result<_, _>>()?;
    let opens: Vec<RawOpen> = reachability
        .opens()
        .iter()
        .map(RawOpen::new)
        .collect::<io::Result<_>>()?;
    let missing = || io::Error::other("a part of a connection was not prepared");
    let mut before: &[u8] = b"\n    ";
    for row in reachability.rows() {
        let end = |end: EndId| ends.get(end.index()).map(|raw| &**raw).ok_or_else(missing);
        let from = end(row.from)?;
        for entry in reachability.entries(row) {
            let open = opens.get(entry.open.index()).ok_or_else(missing)?;
            let raw = RawConnection {
                from,
                to: end(entry.to)?,
                allow: &open.allow,
                maybe: open.maybe.as_deref(),
                icmp: open.icmp,
            };
            out.write_all(before)?;
            serde_json::to_writer(&mut *out, &raw)?;
            before = b",\n    ";
        }
    }
    if !reachability.is_empty() {
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
