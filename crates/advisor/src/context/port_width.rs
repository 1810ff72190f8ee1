use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;

/// A set that lacks fewer ports of a protocol than the 1,023 privileged ones is all of
/// them: nobody lists all but a few for a reason.
const LEFT_OUT: u32 = 1022;

/// A set with at least so many ports of a protocol is most of them. `NodePort`s are 2,768,
/// the ports that systems hand out to clients 16,384 or 28,232.
const MOST: u32 = 49_152;

/// How much of a protocol some ports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PortWidth {
    /// Three quarters of its ports, or more: `1024-65535`.
    Most,
    /// All of them, or all but a few.
    Every,
}

impl PortWidth {
    /// Of one protocol; `None` where the ports are fewer than that.
    pub(crate) fn of(ports: &PortSet, protocol: Protocol) -> Option<Self> {
        let ranges = ports.ranges(protocol).into_iter();
        let count: u32 = ranges.map(|(a, b)| u32::from(b) - u32::from(a) + 1).sum();
        if count + LEFT_OUT >= u32::from(u16::MAX) {
            Some(Self::Every)
        } else if count >= MOST {
            Some(Self::Most)
        } else {
            None
        }
    }
}

/// The ports of a rule that names none in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WidePorts {
    /// The widest of the protocols.
    pub(crate) width: PortWidth,
    /// The protocols that are open as widely as that.
    pub(crate) protocols: Vec<Protocol>,
    ports: PortSet,
}

impl WidePorts {
    /// `None` where ports are named: so few of TCP and of UDP that somebody chose them.
    pub(crate) fn of(ports: &PortSet) -> Option<Self> {
        let widths = [Protocol::Tcp, Protocol::Udp]
            .into_iter()
            .filter_map(|protocol| Some((PortWidth::of(ports, protocol)?, protocol)));
        let widths: Vec<(PortWidth, Protocol)> = widths.collect();
        let width = widths.iter().map(|(width, _)| *width).max()?;
        let of_width = widths.iter().filter(|(w, _)| *w == width);
        Some(Self {
            width,
            protocols: of_width.map(|(_, protocol)| *protocol).collect(),
            ports: ports.clone(),
        })
    }

    /// A port of one of the protocols that is in the set and not in `declared`; those of
    /// remote administration and of debuggers before others.
    pub(crate) fn unnamed_port(&self, declared: &[(Protocol, u16)]) -> Option<(Protocol, u16)> {
        const TELLING: [u16; 6] = [22, 23, 24, 5005, 5006, 5007];
        let mut candidates = self.protocols.iter().flat_map(|protocol| {
            let first = self.ports.ranges(*protocol).first().map(|(port, _)| *port);
            let ports = TELLING.into_iter().chain(first);
            ports.map(|port| (*protocol, port))
        });
        candidates.find(|(protocol, port)| {
            self.ports.contains(*protocol, *port) && !declared.contains(&(*protocol, *port))
        })
    }

    /// Whether these ports are open, as widely as the rule has them.
    pub(crate) fn are_open(&self, open: &PortSet) -> bool {
        self.protocols.iter().any(|protocol| {
            let open = self.ports.intersection(open);
            PortWidth::of(&open, *protocol) == Some(self.width)
        })
    }

    /// `every TCP port`, or `nearly every TCP and UDP port (1024-65535/TCP, ...)`.
    pub(crate) fn in_words(&self) -> String {
        let protocols: Vec<String> = self.protocols.iter().map(Protocol::to_string).collect();
        let protocols = protocols.join(" and ");
        let whole = |protocol: &Protocol| PortSet::protocol(*protocol).is_subset(&self.ports);
        match self.protocols.iter().all(whole) {
            true => format!("every {protocols} port"),
            false => format!("nearly every {protocols} port ({})", self.ports),
        }
    }
}
