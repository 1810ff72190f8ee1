//! Ports and protocols, as all families write them.

use super::checker::Checker;
use crate::diagnostic::Severity;
use crate::parse::names;
use crate::parse::place::Place;

/// The numbers a port can have.
pub(super) const NUMBERS: (i64, i64) = (1, 65535);

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];

/// Checks a `protocol` field.
pub(super) fn check_protocol(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    checker.one_of(place, PROTOCOLS);
}

/// Checks a number.
pub(super) fn check_number(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) -> bool {
    checker.range(place, NUMBERS)
}

/// Checks a name where the API server refuses what cannot be one.
pub(super) fn check_name(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    check_name_as(Severity::Error, place, checker);
}

/// Checks a name where the API server takes any text: what no container can call its
/// port is odd, but matches nothing and nothing more.
pub(super) fn check_loose_name(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    check_name_as(Severity::Warning, place, checker);
}

fn check_name_as(severity: Severity, place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    let Some(text) = place.node.text() else {
        return;
    };
    if let Err(expected) = names::port_name(text) {
        let is_number = text.parse::<u16>().is_ok();
        let help = if is_number {
            "a port number is written without quotes".to_owned()
        } else {
            format!("expected {expected}")
        };
        checker
            .report(
                severity,
                "invalid-port",
                place.value_extent(),
                format!(
                    "`{}`: {} is not a port name",
                    place.at,
                    place.node.describe()
                ),
            )
            .help(help);
    }
}
