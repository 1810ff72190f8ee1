//! A long YAML `List` on all cores.
//!
//! `kubectl get -A -o yaml` writes one document of any size. Its items can be told
//! apart by their indentation: a line with a dash at the items' own column begins the
//! next one, since whatever belongs to an item is indented further. So stretches of
//! items are parsed by themselves, as sequences of their own, and put together again.
//!
//! Where that would not be exact, a stretch does not parse: a quoted text or a bracket
//! would be left open, or an alias would lack its anchor. Then the document is read in
//! one piece, which also gives the right message if it is broken.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use memchr::memchr;
use rayon::prelude::*;

use super::node::{Entry, Extent, Mark, Node, Value};
use super::tree::{SyntaxError, Tree, drop_duplicates, too_many_values};
use super::{Limits, yaml};

/// Shorter documents are not worth the trouble.
const LONG: usize = 1 << 20;
/// About so much is parsed at a time.
const STRETCH: usize = 256 << 10;

const ITEMS: &str = "items:";

/// Some whole lines of a document.
struct Stretch {
    bytes: Range<usize>,
    /// The number of its first line, from 0.
    line: u32,
}

/// A document cut up.
struct Parts {
    /// Everything before `items:`.
    head: Stretch,
    /// Where the key `items` is.
    key_line: u32,
    items: Vec<Stretch>,
    /// Everything after the items.
    tail: Stretch,
}

/// Reads a long list. `None` if the document is not one, or has to be read in one
/// piece. The only error is that it has too many values.
pub(super) fn parse<'t>(
    text: &'t str,
    first_line: u32,
    limits: &Limits,
) -> Result<Option<Tree<'t>>, SyntaxError> {
    if text.len() < LONG || text.starts_with('%') {
        return Ok(None);
    }
    let Some(parts) = cut(text) else {
        return Ok(None);
    };
    let nodes = AtomicUsize::new(0);
    let tree = read(text, first_line, &parts, &nodes, limits);
    // Whatever the order in which stretches were read, it is the same sum that is too
    // much.
    if nodes.into_inner() > limits.nodes {
        let at = Mark {
            line: first_line,
            column: 0,
        };
        return Err(too_many_values(limits, Extent { start: at, end: at }));
    }
    Ok(tree)
}

/// Reads the parts and puts them together. Adds what was read to `nodes`, and stops when
/// it is too much.
fn read<'t>(
    text: &'t str,
    first_line: u32,
    parts: &Parts,
    nodes: &AtomicUsize,
    limits: &Limits,
) -> Option<Tree<'t>> {
    let read = |stretch: &Stretch, limits: &Limits| {
        if nodes.load(Ordering::Relaxed) > limits.nodes {
            return None;
        }
        let text = text.get(stretch.bytes.clone())?;
        let tree = yaml::parse(text, first_line.saturating_add(stretch.line), limits).ok()?;
        nodes.fetch_add(tree.nodes, Ordering::Relaxed);
        Some(tree)
    };
    let head = read(&parts.head, limits)?;
    let tail = read(&parts.tail, limits)?;
    // The sequence of a stretch stands for one that is a level deeper.
    let inside = Limits {
        depth: limits.nesting().saturating_sub(1),
        ..*limits
    };
    let stretches = parts.items.par_iter().map(|stretch| read(stretch, &inside));
    let stretches: Option<Vec<Tree<'t>>> = stretches.collect();
    let mut remarks = Vec::new();
    let mut items = Vec::new();
    for stretch in stretches? {
        remarks.extend(stretch.remarks);
        let Value::Sequence(read) = stretch.root.value else {
            return None;
        };
        items.extend(read);
    }
    let mut entries = Vec::new();
    for part in [head, tail] {
        remarks.extend(part.remarks);
        match part.root.value {
            Value::Mapping(read) => entries.extend(read),
            // Only comments.
            Value::Scalar(_) if part.root.is_null() => {}
            Value::Scalar(_) | Value::Sequence(_) => return None,
        }
    }
    let first_line = first_line.saturating_add(parts.key_line);
    let key = |column| Mark {
        line: first_line,
        column,
    };
    let start = items.first().map(|item| item.extent.start)?;
    let end = items.last().map(|item| item.extent.end)?;
    entries.push(Entry {
        key: Cow::Borrowed("items"),
        key_extent: Extent {
            start: key(0),
            end: key(u32::try_from(ITEMS.len()).ok()? - 1),
        },
        value: Node {
            value: Value::Sequence(items),
            extent: Extent { start, end },
        },
    });
    entries.sort_by_key(|entry| entry.key_extent.start);
    drop_duplicates(&mut entries, &mut remarks);
    let extent = Extent {
        start: entries.first()?.key_extent.start,
        end: entries.last()?.value.extent.end,
    };
    Some(Tree {
        root: Node {
            value: Value::Mapping(entries),
            extent,
        },
        remarks,
        nodes: nodes.load(Ordering::Relaxed),
    })
}

/// Cuts a document at its items. `None` if it does not look like a list.
fn cut(text: &str) -> Option<Parts> {
    let mut lines = lines(text).skip_while(|(_, _, line)| !is_items_key(line));
    let (key, key_line, _) = lines.next()?;
    let mut indent = None;
    let mut items = Vec::new();
    // Where the current stretch began.
    let mut start = (key.end, key_line + 1);
    let mut tail = (text.len(), key_line + 1);
    for (range, number, line) in lines {
        tail.1 = number + 1;
        let content = line.trim_start_matches(' ');
        if matches!(content.as_bytes(), [] | [b'#', ..]) {
            continue;
        }
        let here = line.len() - content.len();
        let is_dash = content == "-" || content.starts_with("- ");
        let of_items = *indent.get_or_insert(here);
        if here > of_items {
            continue;
        }
        if here == of_items && is_dash {
            if range.start - start.0 >= STRETCH {
                items.push(stretch(start, range.start));
                start = (range.start, number);
            }
            continue;
        }
        if here != 0 {
            return None;
        }
        tail = (range.start, number);
        break;
    }
    items.push(stretch(start, tail.0));
    Some(Parts {
        head: stretch((0, 0), key.start),
        key_line,
        items,
        tail: stretch(tail, text.len()),
    })
}

fn stretch((start, line): (usize, u32), end: usize) -> Stretch {
    Stretch {
        bytes: start..end,
        line,
    }
}

fn is_items_key(line: &str) -> bool {
    line.strip_prefix(ITEMS)
        .is_some_and(|rest| rest.trim().is_empty())
}

/// The lines of a text, with their bytes (the line break included) and their number
/// from 0. They end at a lone carriage return, after which the count would be wrong;
/// what follows stays in the last stretch.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, u32, &str)> {
    let mut from = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = text.get(from..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
        let line = rest.get(..length)?.trim_end_matches(['\n', '\r']);
        if memchr(b'\r', line.as_bytes()).is_some() {
            return None;
        }
        let found = (from..from + length, number, line);
        from += length;
        number += 1;
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of `count` items that are long enough together.
    fn list(count: usize, indent: &str, item: &str) -> String {
        let mut text = String::from("--- # list\napiVersion: v1\nitems:\n");
        for number in 0..count {
            text.push_str(
                &item
                    .replace("NUMBER", &number.to_string())
                    .replace('^', indent),
            );
        }
        text.push_str("kind: List\nmetadata:\n  resourceVersion: \"\"\n");
        text
    }

    const ITEM: &str = "^- kind: Pod
^  # comment
^  metadata:
^    name: n-NUMBER
^    text: |
^      - not an item

^      # not a comment
^    flow: [a,
^      b]
^    quoted: \"a
^      - b\"
^-
^  kind: Pod
";

    fn assert_same(text: &str, expect_parallel: bool) {
        let limits = Limits::default();
        let parallel = parse(text, 7, &limits).unwrap();
        assert_eq!(parallel.is_some(), expect_parallel);
        if let Some(parallel) = parallel {
            let whole = yaml::parse(text, 7, &limits).unwrap();
            assert_eq!(format!("{:?}", parallel.root), format!("{:?}", whole.root));
            assert_eq!(parallel.remarks, whole.remarks);
        }
    }

    #[test]
    fn a_list_in_stretches_is_the_list_in_one_piece() {
        for indent in ["", "  "] {
            let text = list(10_000, indent, ITEM);
            assert_same(&text, true);
            assert_same(&text.replace('\n', "\r\n"), true);
        }
    }

    #[test]
    fn duplicate_keys_are_noted_in_either_way() {
        let text = list(100_000, "", "- {a: NUMBER, a: 1}\n") + "items: []\n";
        let limits = Limits::default();
        let parallel = parse(&text, 1, &limits).unwrap().unwrap();
        let whole = yaml::parse(&text, 1, &limits).unwrap();
        assert_eq!(parallel.remarks.len(), whole.remarks.len());
        assert_eq!(format!("{:?}", parallel.root), format!("{:?}", whole.root));
    }

    #[test]
    fn too_many_values_are_refused_whatever_the_order_of_reading() {
        let text = list(100_000, "", "- {a: NUMBER}\n");
        let limits = Limits {
            nodes: 300_000,
            ..Limits::default()
        };
        let error = parse(&text, 7, &limits).unwrap_err();
        assert_eq!(error.code, "limit-exceeded");
        assert_eq!(error.extent.start, Mark { line: 7, column: 0 });
    }

    #[test]
    fn what_cannot_be_cut_exactly_is_read_in_one_piece() {
        // An anchor in the first stretch, aliases in all of them.
        let aliases = list(
            30_000,
            "",
            "- {a: *x, b: some text to make it longer, c: NUMBER}\n",
        );
        assert_same(&aliases.replacen("*x", "&x 1", 1), false);
        // A quoted text with something that looks like an item at the cut.
        let quoted = list(60_000, "", "- {b: some text to make it longer}\n");
        assert_same(&quoted.replacen("- {b", "- a: \"\n- {b", 1), false);
        // No list at all.
        assert_same(&"a: some text that is not a list\n".repeat(60_000), false);
        assert_same("items:\n- a\n", false);
    }
}
