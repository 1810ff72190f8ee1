//! The report for a person at a terminal.

use std::io::{self, Write};

use ringfence_engine::explain::{Effect, Explanation, Reason, Side, Suggestion, explain};
use ringfence_engine::{Packet, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::parse::Sources;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::Snapshot;

use super::Report;
use super::alike::{Alike, MOST_EXPLAINED, alike, rest};
use super::words::{Missing, Speaker, decided_by, location, reason_title, verdict};
use crate::output::layout::count;
use crate::output::snippet::{Marked, render, untitled};
use crate::output::{Theme, incomplete};
use crate::packets::{Outcome, Party};
use crate::unread::introduction;

pub(super) fn write(
    report: &Report<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let speaker = Speaker::new(report.snapshot);
    let human = Human {
        report,
        speaker,
        theme,
        width,
        families: families(&report.answer.outcomes),
    };
    let outcomes = &report.answer.outcomes;
    if outcomes.len() > 1 {
        human.overview(out)?;
    }
    let groups = alike(report.snapshot, outcomes);
    let shown = || groups.iter().take(MOST_EXPLAINED);
    let mut missing = Missing::new(
        report.snapshot,
        report.profile,
        shown().map(|group| group.first),
    );
    // What is suggested once is not printed again: it is one policy for several ports.
    let mut printed: Vec<Suggestion> = Vec::new();
    for group in shown() {
        human.group(group, out)?;
        let (again, new): (Vec<Suggestion>, Vec<Suggestion>) = missing
            .of(group.first)
            .into_iter()
            .partition(|suggestion| printed.contains(suggestion));
        write_missing(&new, theme, out)?;
        for suggestion in again {
            let direction = suggestion.direction;
            writeln!(out, "  missing ({direction}): the policy shown above\n")?;
        }
        printed.extend(new);
    }
    if let Some(rest) = rest(&groups) {
        writeln!(out, "{rest}\n")?;
    }
    let dim = theme.dim;
    writeln!(out, "{dim}profile {}{dim:#}", report.profile.name)?;
    incomplete::human(report.diagnostics, theme, out)
}

struct Human<'a> {
    report: &'a Report<'a>,
    speaker: Speaker<'a>,
    theme: Theme,
    width: usize,
    /// Of all outcomes.
    families: Vec<IpFamily>,
}

fn families(outcomes: &[Outcome]) -> Vec<IpFamily> {
    let mut families: Vec<IpFamily> = outcomes
        .iter()
        .flat_map(|outcome| outcome.families.iter().copied())
        .collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// Outcomes that are listed in the overview at most.
const MOST_LISTED: usize = 50;

impl Human<'_> {
    /// One line for each outcome, before the details.
    fn overview(&self, out: &mut dyn Write) -> io::Result<()> {
        let strong = self.theme.strong;
        let report = self.report;
        let summary = match report.answer.common_verdict() {
            Some(common) => format!("all {}", verdict(common)),
            None => "it depends".to_owned(),
        };
        writeln!(
            out,
            "{strong}{} → {}{strong:#}: {summary}",
            report.from, report.to
        )?;
        let outcomes = &report.answer.outcomes;
        for outcome in outcomes.iter().take(MOST_LISTED) {
            let style = self.theme.verdict(outcome.verdict);
            writeln!(
                out,
                "  {style}{:<7}{style:#} {}{}",
                outcome.verdict,
                self.speaker.connection(outcome),
                self.detail(outcome),
            )?;
        }
        let more = outcomes.len().saturating_sub(MOST_LISTED);
        if more > 0 {
            writeln!(out, "  ... and {more} more (`-o json` lists all)")?;
        }
        writeln!(out)
    }

    /// How many pods of several, and which family of two.
    fn detail(&self, outcome: &Outcome) -> String {
        let mut detail = String::new();
        let (pairs, total) = outcome.pairs;
        if pairs < total {
            detail = format!(" ({pairs} of {})", count(total, "pair", "pairs"));
        }
        let is_one_of_several = self.families.iter().any(|f| !outcome.families.contains(f));
        if is_one_of_several && let Some(family) = outcome.families.first() {
            detail.push_str(&format!(" ({family})"));
        }
        detail
    }

    fn group(&self, group: &Alike<'_>, out: &mut dyn Write) -> io::Result<()> {
        let outcome = group.first;
        let style = self.theme.verdict(outcome.verdict);
        let strong = self.theme.strong;
        writeln!(
            out,
            "{strong}{}{strong:#}{}: {style}{}{style:#}",
            self.speaker.connection(outcome),
            self.detail(outcome),
            verdict(outcome.verdict).to_uppercase(),
        )?;
        if let Some(via) = &outcome.via {
            let service = self.report.snapshot.service(via.service);
            let addresses: Vec<String> = service
                .cluster_ips
                .iter()
                .map(ToString::to_string)
                .collect();
            let own = match (service.headless, addresses.is_empty()) {
                (true, _) => "headless".to_owned(),
                (false, true) => "its address is not known".to_owned(),
                (false, false) => addresses.join(", "),
            };
            let unsure = if via.certain {
                ""
            } else {
                " (whether the service selects it is not known)"
            };
            let before = self.report.profile.judges_before_dnat && !service.headless;
            let seen = match &outcome.to {
                Party::Workload(_) if before => {
                    "ingress rules see that, egress rules see the service"
                }
                _ => "that is what policies see",
            };
            writeln!(
                out,
                "  service {} ({own}) port {} leads to {} port {}: {seen}{unsure}",
                self.speaker.names.service(via.service),
                via.port,
                self.speaker.party(&outcome.to),
                via.target_port,
            )?;
        }
        let shown = shown_packet(self.report.snapshot, &outcome.packet);
        if stands_for_others(outcome) {
            writeln!(out, "  {} stands for all of them", shown)?;
        }
        if let Some(others) = group.others(&self.speaker) {
            writeln!(out, "  {others}")?;
        }
        if let Some(remark) = introduction(outcome) {
            let style = self.theme.warning;
            writeln!(out, "  {style}{remark}{style:#}")?;
        }
        writeln!(out)?;
        let snapshot = self.report.snapshot;
        let explanation = explain(snapshot, self.report.profile, &outcome.packet);
        let context = Context {
            snapshot,
            sources: self.report.sources,
            theme: self.theme,
            width: self.width,
        };
        let from = self.speaker.party(&outcome.from);
        let to = self.speaker.party(&outcome.to);
        context.sides(&explanation, [&from, &to], out)
    }
}

/// Whether the packet is one of many that differ in more than the pod.
fn stands_for_others(outcome: &Outcome) -> bool {
    let several_ports = {
        let packet = &outcome.packet;
        let own = ringfence_engine::sets::PortSet::range(packet.protocol, packet.port, packet.port);
        outcome.ports != own
    };
    let several_addresses = [&outcome.from, &outcome.to]
        .into_iter()
        .any(|party| match party {
            crate::packets::Party::Workload(_) => false,
            crate::packets::Party::Addresses(nets) => {
                nets.len() > 1
                    || nets
                        .iter()
                        .any(|net| net.prefix_len() < net.max_prefix_len())
            }
        });
    several_ports || several_addresses
}

fn shown_packet(snapshot: &Snapshot, packet: &Packet) -> String {
    let out = super::json::packet_out(snapshot, packet);
    match packet.protocol {
        ringfence_model::protocol::Protocol::Icmp => {
            format!("{} → {} ICMP", out.source, out.destination)
        }
        protocol => format!(
            "{} → {} {}/{protocol}",
            out.source, out.destination, packet.port
        ),
    }
}

/// Explains one packet with source lines, indented below another report's line.
pub(crate) fn write_sides(
    (snapshot, sources): (&Snapshot, &Sources),
    profile: &Profile,
    packet: &Packet,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let explanation = explain(snapshot, profile, packet);
    let context = Context {
        snapshot,
        sources,
        theme,
        width,
    };
    let ends = super::json::packet_out(snapshot, packet);
    context.sides(&explanation, [&ends.source, &ends.destination], out)
}

/// Shows the rules that would allow a connection, indented below another report's line.
pub(crate) fn write_missing(
    suggestions: &[Suggestion],
    theme: Theme,
    out: &mut dyn Write,
) -> io::Result<()> {
    let allowed = theme.allowed;
    for suggestion in suggestions {
        writeln!(
            out,
            "  {allowed}missing{allowed:#} ({}): {}",
            suggestion.direction, suggestion.text
        )?;
        for line in suggestion.manifest.iter().flat_map(|text| text.lines()) {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What is needed to show reasons.
struct Context<'a> {
    snapshot: &'a Snapshot,
    sources: &'a Sources,
    theme: Theme,
    width: usize,
}

/// Which reasons of a side are shown with their source lines: what decides; of a
/// default deny, the rules that nearly match, and without any the first policy.
struct Shown<'a> {
    in_detail: bool,
    first_isolating: Option<&'a Reason>,
    near_misses: bool,
}

impl<'a> Shown<'a> {
    fn of(side: &'a Side, in_detail: bool) -> Self {
        let is_near_miss = |r: &&Reason| r.effect == Effect::NoMatch && r.rule.is_some();
        let isolating = |r: &&Reason| r.decisive && r.effect == Effect::Isolates;
        Self {
            in_detail,
            first_isolating: side.reasons.iter().find(isolating),
            near_misses: side.verdict != Verdict::Allowed
                && side.reasons.iter().any(|r| is_near_miss(&r)),
        }
    }

    fn with_source(&self, reason: &Reason) -> bool {
        if !self.in_detail {
            return false;
        }
        match reason.effect {
            Effect::Isolates => {
                !self.near_misses && self.first_isolating.is_some_and(|first| first == reason)
            }
            Effect::NoMatch => self.near_misses && reason.rule.is_some(),
            _ => reason.decisive,
        }
    }
}

impl Context<'_> {
    fn sides(
        &self,
        explanation: &Explanation,
        names: [&str; 2],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let [from, to] = names;
        let Explanation {
            verdict,
            egress,
            ingress,
        } = explanation;
        // Of a denial, the side that allows is not what one wants to read about.
        let matters = |side: &Side| *verdict != Verdict::Denied || side.verdict != Verdict::Allowed;
        self.side(egress, from, matters(egress), out)?;
        self.side(ingress, to, matters(ingress), out)
    }

    /// `in_detail`: with the source lines of what matters.
    fn side(
        &self,
        side: &Side,
        name: &str,
        in_detail: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let style = self.theme.verdict(side.verdict);
        writeln!(
            out,
            "  {} of {name}: {style}{}{style:#}, {}",
            side.direction,
            verdict(side.verdict),
            decided_by(side),
        )?;
        let shown = Shown::of(side, in_detail);
        for reason in &side.reasons {
            if shown.with_source(reason) {
                self.with_source(side, reason, out)?;
            } else {
                self.in_one_line(reason, out)?;
            }
        }
        writeln!(out)
    }

    fn in_one_line(&self, reason: &Reason, out: &mut dyn Write) -> io::Result<()> {
        let style = if reason.decisive {
            anstyle::Style::new()
        } else {
            self.theme.dim
        };
        let title = reason_title(self.snapshot, reason);
        let at = location(self.snapshot, self.sources, reason)
            .map_or_else(String::new, |location| format!(" ({location})"));
        writeln!(out, "    {style}{title}: {}{at}{style:#}", reason.text)
    }

    fn with_source(&self, side: &Side, reason: &Reason, out: &mut dyn Write) -> io::Result<()> {
        let strong = self.theme.strong;
        let title = reason_title(self.snapshot, reason);
        writeln!(out, "    {strong}{title}{strong:#}: {}", reason.text)?;
        let origin = self.snapshot.policy(reason.policy).origin.as_ref();
        let located = location(self.snapshot, self.sources, reason);
        if let (Some(origin), Some(location)) = (origin, located) {
            let mark = Marked {
                location: &location,
                text: self.sources.text(origin.file),
                label: label(side.direction, reason),
                primary: side.verdict != Verdict::Allowed,
            };
            let snippet = render(&[untitled(&[mark])], self.theme.colored, self.width);
            for line in snippet.lines() {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }
}

/// What to say at the source line.
fn label(direction: Direction, reason: &Reason) -> &'static str {
    match (reason.effect, direction) {
        (Effect::Allows, _) => "allows it",
        (Effect::Denies, _) => "denies it",
        (Effect::Isolates, Direction::Egress) => "selects the source and isolates its egress",
        (Effect::Isolates, Direction::Ingress) => {
            "selects the destination and isolates its ingress"
        }
        (Effect::MayMatch, _) => "may match",
        (Effect::Passes, _) => "passes it on",
        (Effect::NoMatch, _) => "does not match",
    }
}
