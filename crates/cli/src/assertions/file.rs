//! The YAML of an assertion file, strictly.

use std::fmt;

use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::source::{Location, Position, Span};
use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{Assertion, Demand, End, problem};
use crate::endpoint::{EndpointArg, PortWord, nearest};
use crate::output::contract::API_VERSION;

const KIND: &str = "Assertions";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileIn {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    #[serde(default)]
    permits: Vec<Spanned<AssertionIn>>,
    #[serde(default)]
    forbids: Vec<Spanned<AssertionIn>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssertionIn {
    from: Spanned<EndsIn>,
    to: Spanned<EndsIn>,
    #[serde(default)]
    ports: Vec<Spanned<PortIn>>,
    #[serde(default)]
    why: Option<String>,
    #[serde(default)]
    allow_unknown: bool,
}

/// One end or several.
struct EndsIn(Vec<(String, Option<serde_saphyr::Location>)>);

impl<'de> Deserialize<'de> for EndsIn {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndsVisitor)
    }
}

struct EndsVisitor;

impl<'de> Visitor<'de> for EndsVisitor {
    type Value = EndsIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an endpoint such as `shop/cart`, `namespace: shop`, or a list of those")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<EndsIn, E> {
        Ok(EndsIn(vec![(text.to_owned(), None)]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<EndsIn, A::Error> {
        let mut ends = Vec::new();
        while let Some(item) = items.next_element::<Spanned<EndIn>>()? {
            ends.push((item.value.0, Some(item.referenced)));
        }
        Ok(EndsIn(ends))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndsIn, A::Error> {
        let EndIn(text) = EndVisitor.visit_map(map)?;
        Ok(EndsIn(vec![(text, None)]))
    }
}

/// One end: its text, or a namespace.
struct EndIn(String);

impl<'de> Deserialize<'de> for EndIn {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndVisitor)
    }
}

struct EndVisitor;

impl<'de> Visitor<'de> for EndVisitor {
    type Value = EndIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an endpoint such as `shop/cart`, or `namespace: shop`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<EndIn, E> {
        Ok(EndIn(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EndIn, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "namespace" {
                return Err(de::Error::unknown_field(&key, &["namespace"]));
            }
            found = Some(map.next_value::<String>()?);
        }
        match found {
            Some(namespace) => Ok(EndIn(format!("{namespace}/*"))),
            None => Err(de::Error::missing_field("namespace")),
        }
    }
}

/// A port as a number or a text.
struct PortIn(String);

impl<'de> Deserialize<'de> for PortIn {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = PortIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port such as `80`, `53/UDP`, `8000-8100/TCP` or `http`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PortIn, E> {
        Ok(PortIn(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<PortIn, E> {
        Ok(PortIn(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<PortIn, E> {
        Ok(PortIn(number.to_string()))
    }
}

/// Reads the text of an assertion file.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Assertion>, Vec<Diagnostic>> {
    let places = Places { name, text };
    let file: FileIn = serde_saphyr::from_str(text).map_err(|error| {
        let location = places.location(error.location());
        let message = message_of(&error);
        vec![problem(
            "assertion-file",
            message,
            location,
            Some(HELP.to_owned()),
        )]
    })?;
    let mut problems = Vec::new();
    for (found, expected, key) in [
        (&file.api_version, API_VERSION, "apiVersion"),
        (&file.kind, KIND, "kind"),
    ] {
        if found.value != expected {
            problems.push(problem(
                "assertion-file",
                format!(
                    "`{key}` is `{}`, and an assertion file has `{expected}`",
                    found.value
                ),
                places.location(Some(found.referenced)),
                None,
            ));
        }
    }
    let mut assertions = Vec::new();
    for (demand, list) in [
        (Demand::Permits, file.permits),
        (Demand::Forbids, file.forbids),
    ] {
        for item in list {
            assertions.extend(places.assertion(demand, item, &mut problems));
        }
    }
    if assertions.is_empty() && problems.is_empty() {
        problems.push(problem(
            "assertion-file",
            "there is no assertion in this file".to_owned(),
            places.location(None),
            Some(HELP.to_owned()),
        ));
    }
    if problems.is_empty() {
        Ok(assertions)
    } else {
        Err(problems)
    }
}

const HELP: &str = "an assertion file has `permits` and `forbids`: lists of `from`, `to`, `ports`, \
                    `why` and `allowUnknown`; see docs/assert.md";

/// The error's own sentence: its source lines are shown by us.
fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    reworded(text.get(..end).unwrap_or(&text).trim())
}

/// What the YAML reader says to programmers, said to the author of a file.
fn reworded(text: &str) -> String {
    if text.starts_with("multiple YAML documents") {
        return "there is a second document here, and an assertion file is one".to_owned();
    }
    if let Some(rest) = text.strip_prefix("duplicate mapping key: ") {
        let key = rest.split(',').next().unwrap_or(rest).trim();
        return format!("`{key}` is there twice");
    }
    if let Some((key, known)) = text
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once("`, expected one of "))
    {
        let known: Vec<&str> = known.split(", ").collect();
        let nearest = nearest(key, known.iter().copied());
        return match nearest.first() {
            Some(meant) => format!("there is no key `{key}`: did you mean `{meant}`?"),
            None => format!("there is no key `{key}` here, only {}", known.join(", ")),
        };
    }
    if let Some(key) = text.strip_prefix("missing field ") {
        return format!("{key} is missing");
    }
    if let Some((found, expected)) = text
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        let found = match found {
            "unit value" => "nothing",
            found => found,
        };
        return format!("expected {expected}; there is {found}");
    }
    match text {
        "unexpected end of input" => "the file is empty or ends too early".to_owned(),
        "expected mapping start" => "expected `key: value` here".to_owned(),
        "expected sequence start" => "expected a list here, as in `[a, b]`".to_owned(),
        "expected string scalar" => "expected a text here".to_owned(),
        "invalid boolean" => "expected `true` or `false`".to_owned(),
        other => other.to_owned(),
    }
}

/// Turns positions of the YAML reader into spans.
struct Places<'a> {
    name: &'a str,
    text: &'a str,
}

impl Places<'_> {
    fn assertion(
        &self,
        demand: Demand,
        item: Spanned<AssertionIn>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Assertion> {
        let location = self.location(Some(item.referenced));
        let AssertionIn {
            from,
            to,
            ports,
            why,
            allow_unknown,
        } = item.value;
        let before = problems.len();
        let from = self.ends(from, problems);
        let to = self.ends(to, problems);
        let ports: Vec<PortWord> = ports
            .into_iter()
            .filter_map(|port| match port.value.0.parse() {
                Ok(word) => Some(word),
                Err(error) => {
                    let at = self.location(Some(port.referenced));
                    problems.push(problem("not-a-port", format!("{error}"), at, None));
                    None
                }
            })
            .collect();
        if !ports.is_empty() {
            for end in to.iter().filter(|end| end.arg.port.is_some()) {
                problems.push(problem(
                    "port-twice",
                    format!("`{}` has a port, and so has `ports`", end.arg.text),
                    end.location.clone(),
                    Some("give ports in one place".to_owned()),
                ));
            }
        }
        (problems.len() == before).then_some(Assertion {
            demand,
            from,
            to,
            ports,
            why,
            allow_unknown,
            location,
        })
    }

    fn ends(&self, ends: Spanned<EndsIn>, problems: &mut Vec<Diagnostic>) -> Vec<End> {
        let whole = ends.referenced;
        if ends.value.0.is_empty() {
            let at = self.location(Some(whole));
            problems.push(problem(
                "no-endpoint",
                "the list is empty".to_owned(),
                at,
                None,
            ));
        }
        let mut read = Vec::new();
        for (text, own) in ends.value.0 {
            let location = self.location(Some(own.unwrap_or(whole)));
            match text.parse::<EndpointArg>() {
                Ok(arg) => read.push(End { arg, location }),
                Err(error) => {
                    problems.push(problem(
                        "not-an-endpoint",
                        error.to_string(),
                        location,
                        None,
                    ));
                }
            }
        }
        read
    }

    /// From where something begins to the end of its line: what follows on the line
    /// belongs to it, and further lines say no more about where it is.
    fn location(&self, at: Option<serde_saphyr::Location>) -> Location {
        let (line, column) = at.map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
        let line = usize::try_from(line).unwrap_or(1);
        let column = usize::try_from(column).unwrap_or(1);
        let start_of_line = self
            .text
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum::<usize>();
        let rest = self.text.get(start_of_line..).unwrap_or_default();
        let shown = rest.lines().next().unwrap_or_default().trim_end();
        let skipped: usize = shown.chars().take(column - 1).map(char::len_utf8).sum();
        let position = |offset: usize, column: usize| Position {
            offset,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        };
        Location {
            file: self.name.to_owned(),
            span: Span {
                start: position(start_of_line + skipped, column),
                end: position(start_of_line + shown.len(), shown.chars().count() + 1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\n";

    fn errors(body: &str) -> Vec<String> {
        let problems = read("a.yaml", &format!("{HEAD}{body}")).unwrap_err();
        problems
            .iter()
            .map(|p| {
                let at = p.primary.as_ref().unwrap().location.span.start;
                format!("{}:{} {}", at.line, at.column, p.message)
            })
            .collect()
    }

    #[test]
    fn ends_are_texts_namespaces_or_lists_of_both() {
        let body =
            "permits:\n- {from: shop/cart, to: [dns, {namespace: data}], ports: [53/UDP, 80]}\n";
        let assertions = read("a.yaml", &format!("{HEAD}{body}")).unwrap();
        assert_eq!(assertions.len(), 1);
        assert_eq!(assertions[0].text(), "shop/cart → dns, data/* 53/UDP, 80");
        assert_eq!(assertions[0].location.span.start.line, 4);
    }

    #[test]
    fn what_is_misspelt_is_told_with_its_place() {
        let shown = errors("permits:\n- from: a/b\n  too: c/d\n");
        assert!(shown[0].starts_with("5:3 "), "{shown:?}");
        assert!(shown[0].contains("too"), "{shown:?}");
        let shown = errors("forbid: []\n");
        assert!(shown[0].contains("forbid"), "{shown:?}");
    }

    #[test]
    fn the_yaml_reader_is_put_into_words() {
        let one = "permits:\n- {from: a/b, to: c/d}\n";
        for (body, message) in [
            (format!("{one}---\n{HEAD}{one}"), "second document"),
            (
                "permits:\n- {from: a, from: b, to: c}\n".into(),
                "`from` is there twice",
            ),
            ("permit: []\n".into(), "did you mean `permits`?"),
            (
                "permits:\n- {form: a, to: c}\n".into(),
                "did you mean `from`?",
            ),
            ("permits:\n- {from: a}\n".into(), "`to` is missing"),
            ("permits: a\n".into(), "expected a list"),
            ("permits: [a]\n".into(), "expected `key: value`"),
            (
                "permits:\n- {from: null, to: c}\n".into(),
                "there is nothing",
            ),
            (
                "permits:\n- {from: a, to: c, allowUnknown: x}\n".into(),
                "`true` or `false`",
            ),
            (
                "permits:\n- {from: a, to: c, why: [x]}\n".into(),
                "expected a text",
            ),
        ] {
            let shown = errors(&body);
            assert!(shown[0].contains(message), "{body}: {shown:?}");
        }
        let empty = read("a.yaml", "# nothing\n").unwrap_err();
        assert!(empty[0].message.contains("empty"), "{empty:?}");
    }

    #[test]
    fn every_bad_endpoint_and_port_is_told() {
        let shown =
            errors("forbids:\n- from: a/b/c/d\n  to: [dns, ':80']\n  ports: [80/icmp, 70000]\n");
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert!(shown[0].starts_with("4:9 "), "{shown:?}");
        assert!(shown[1].starts_with("5:13 "), "{shown:?}");
    }

    #[test]
    fn a_file_without_assertions_or_of_another_kind_is_refused() {
        assert_eq!(errors("permits: []\n").len(), 1);
        let other = "apiVersion: v1\nkind: Pod\npermits: []\n";
        assert_eq!(read("a.yaml", other).unwrap_err().len(), 2);
        assert!(read("a.yaml", "").is_err());
        assert!(read("a.yaml", "- 1\n").is_err());
    }
}
