use std::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostic::{Annotation, Bounded, Diagnostic, Severity};
use crate::object::ObjectRef;
use crate::parse::{Part, Sources};
use crate::source::{KeyPath, Origin};

/// What an object is called and where it came from, for messages about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) id: &'a ObjectRef,
    pub(super) origin: Option<&'a Origin>,
}

/// Collects the diagnostics of one build.
#[derive(Debug)]
pub(super) struct Notices<'a> {
    sources: &'a Sources,
    diagnostics: Bounded,
}

impl<'a> Notices<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            diagnostics: Bounded::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics.into_vec()
    }

    /// Two objects of one kind, namespace and name: the later is used.
    pub(super) fn duplicate(
        &mut self,
        id: &ObjectRef,
        earlier: Option<&Origin>,
        later: Option<&Origin>,
    ) {
        let name = KeyPath::root().key("metadata").key("name");
        let at = |origin: Option<&Origin>, label: &str| {
            let location = self.sources.locate(origin?, &name, Part::Value)?;
            Some(Annotation {
                location,
                label: label.to_owned(),
            })
        };
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            code: "duplicate-object",
            message: format!("{id} is defined more than once"),
            object: Some(id.clone()),
            primary: at(later, "this definition is used"),
            related: at(earlier, "this earlier definition is not")
                .into_iter()
                .collect(),
            help: Some("remove or rename one of them".to_owned()),
            replacement: None,
            left_out: Some("the earlier definition was left out".to_owned()),
        };
        self.diagnostics.push(diagnostic);
    }

    /// An object that cannot be told from others.
    pub(super) fn without_name(&mut self, subject: Subject<'_>) {
        self.push(
            subject,
            &KeyPath::root().key("metadata"),
            "missing-name",
            format!("this {} has no name", subject.id.kind),
            Some("give it a metadata.name".to_owned()),
            "this object was left out",
        );
    }

    /// Several live pods say that they have the same address.
    pub(super) fn contested_address(
        &mut self,
        subject: Subject<'_>,
        address: IpAddr,
        other: &ObjectRef,
    ) {
        self.push(
            subject,
            &KeyPath::root().key("status").key("podIP"),
            "duplicate-address",
            format!(
                "{} and {other} both claim the address {address}",
                subject.id
            ),
            Some("the pods were read at different times: read them again together".to_owned()),
            "the addresses of this pod count as not known",
        );
    }

    /// Reads an address; says so if it is none. The empty text is no address, and fine.
    pub(super) fn address(
        &mut self,
        subject: Subject<'_>,
        text: &str,
        path: impl FnOnce() -> KeyPath,
    ) -> Option<IpAddr> {
        let read = text.parse().ok();
        if read.is_none() && !text.is_empty() {
            self.push(
                subject,
                &path(),
                "unreadable-address",
                format!("`{text}` is not an IP address"),
                None,
                "this address was left out",
            );
        }
        read
    }

    /// Reads a CIDR; says so if it is none.
    pub(super) fn cidr(
        &mut self,
        subject: Subject<'_>,
        text: &str,
        path: impl FnOnce() -> KeyPath,
    ) -> Option<IpNet> {
        let read = text.parse::<IpNet>().ok().map(|net| net.trunc());
        if read.is_none() && !text.is_empty() {
            self.push(
                subject,
                &path(),
                "unreadable-address",
                format!("`{text}` is not a CIDR such as 10.244.0.0/24"),
                None,
                "this range was left out",
            );
        }
        read
    }

    /// Reads a port number; says so if there is no such port.
    pub(super) fn port(
        &mut self,
        subject: Subject<'_>,
        number: i32,
        path: impl FnOnce() -> KeyPath,
    ) -> Option<u16> {
        let read = u16::try_from(number).ok().filter(|port| *port != 0);
        if read.is_none() {
            self.push(
                subject,
                &path(),
                "unusable-port",
                format!("{number} is not a port: expected 1 to 65535"),
                None,
                "this port was left out",
            );
        }
        read
    }

    /// A protocol that is none of TCP, UDP and SCTP.
    pub(super) fn unknown_protocol(&mut self, subject: Subject<'_>, text: &str, path: &KeyPath) {
        self.push(
            subject,
            path,
            "unusable-port",
            format!("`{text}` is not a protocol: expected TCP, UDP or SCTP"),
            None,
            "this port was left out",
        );
    }

    fn push(
        &mut self,
        subject: Subject<'_>,
        path: &KeyPath,
        code: &'static str,
        message: String,
        help: Option<String>,
        left_out: &str,
    ) {
        let primary = subject
            .origin
            .and_then(|origin| self.sources.locate(origin, path, Part::Value))
            .map(|location| Annotation {
                location,
                label: String::new(),
            });
        self.diagnostics.push(Diagnostic {
            severity: Severity::Warning,
            code,
            message,
            object: Some(subject.id.clone()),
            primary,
            related: Vec::new(),
            help,
            replacement: None,
            left_out: Some(left_out.to_owned()),
        });
    }
}
