//! Proposed policies: the manifests of `baseline`.

mod manifest;

use std::fmt::Write as _;
use std::io;

use clap::ValueEnum;
use ringfence_advisor::baseline::ProposedPolicy;
use serde_saphyr::SerializerOptions;

use super::{Printer, structured, visible};
use manifest::Node;

/// The formats of `baseline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A document for each policy, with comments
    Yaml,
    /// A v1 List
    Json,
}

/// Comments are broken at this column.
const WIDTH: usize = 88;

/// Prints the policies.
pub(crate) fn print(
    policies: &[ProposedPolicy],
    format: Format,
    printer: &mut Printer,
) -> io::Result<()> {
    match format {
        Format::Yaml => {
            let text = yaml(policies)?;
            printer.out().write_all(text.as_bytes())
        }
        Format::Json => {
            let items = policies.iter().map(manifest::of).collect();
            let list = Node::map([
                ("apiVersion", Node::text("v1")),
                ("kind", Node::text("List")),
                ("items", Node::List(items)),
            ]);
            structured::json(printer.out(), &list)
        }
    }
}

/// The policies as documents, each after a line of three dashes.
pub(crate) fn yaml(policies: &[ProposedPolicy]) -> io::Result<String> {
    let mut text = String::new();
    for proposed in policies {
        text.push_str("---\n");
        for paragraph in &proposed.comment {
            comment(&visible::line(paragraph), &mut text);
        }
        let document = serde_saphyr::to_string_with_options(&manifest::of(proposed), style())
            .map_err(io::Error::other)?;
        text.push_str(document.trim_end());
        text.push('\n');
    }
    Ok(text)
}

/// Lists are indented and no text is folded, as people write manifests.
fn style() -> SerializerOptions {
    serde_saphyr::ser_options! {
        compact_list_indent: false,
        prefer_block_scalars: false,
    }
}

/// A paragraph as lines of comment.
fn comment(paragraph: &str, text: &mut String) {
    let mut line = String::from("#");
    for word in paragraph.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
