//! YAML into a tree.
//!
//! The grammar is `saphyr-parser`'s. What is decided here: aliases and merge keys are
//! expanded (within a budget), keys become text, duplicates are noted.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::Limits;
use super::expand::{cost, merge_into};
use super::node::{Entry, Extent, Mark, Node, Scalar, Value};
use super::scalar::Resolved;
use super::tree::{Remark, RemarkKind, SyntaxError, Tree, drop_duplicates, too_many_values};

/// Reads one document whose first line has the number `first_line`.
pub(crate) fn parse<'t>(
    text: &'t str,
    first_line: u32,
    limits: &Limits,
) -> Result<Tree<'t>, SyntaxError> {
    if text.len() > limits.piece_bytes {
        let at = Mark {
            line: first_line,
            column: 0,
        };
        let message = format!(
            "this is more than {} bytes of YAML in one piece: it is not read",
            limits.piece_bytes
        );
        let mut error = SyntaxError::new("limit-exceeded", message, Extent { start: at, end: at });
        error.help = Some(
            "write it as several documents, as JSON, or as a `List` whose items can be told apart by their indentation",
        );
        return Err(error);
    }
    let mut builder = Builder {
        // The parser counts characters, and in ASCII they are bytes.
        ascii: text.is_ascii().then_some(text),
        first_line,
        limits: *limits,
        frames: Vec::new(),
        anchors: FxHashMap::default(),
        nodes: 0,
        written: 0,
        expanded: 0,
        root: None,
        remarks: Vec::new(),
    };
    let mut parser: Parser<'t, StrInput<'t>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        builder.event(event, span)?;
    }
    let root = builder.root.take();
    Ok(Tree {
        root: root.unwrap_or_else(|| nothing(first_line)),
        remarks: builder.remarks,
        nodes: builder.nodes,
    })
}

/// A document without a value.
fn nothing<'t>(line: u32) -> Node<'t> {
    let at = Mark { line, column: 0 };
    Node {
        value: Value::Scalar(Scalar {
            text: Cow::Borrowed(""),
            is_text: false,
        }),
        extent: Extent { start: at, end: at },
    }
}

/// A collection that is being read.
struct Frame<'t> {
    start: Mark,
    anchor: usize,
    /// The deepest nesting below, for the depth of aliases.
    height: usize,
    kind: FrameKind<'t>,
}

enum FrameKind<'t> {
    Sequence(Vec<Node<'t>>),
    Mapping {
        entries: Vec<Entry<'t>>,
        key: Option<Key<'t>>,
        merges: Vec<Node<'t>>,
    },
}

enum Key<'t> {
    Named(Cow<'t, str>, Extent),
    Merge,
}

/// What an anchor stands for.
struct Anchored<'t> {
    node: Node<'t>,
    cost: usize,
    height: usize,
}

struct Builder<'t> {
    /// The text, if it is ASCII only.
    ascii: Option<&'t str>,
    first_line: u32,
    limits: Limits,
    frames: Vec<Frame<'t>>,
    anchors: FxHashMap<usize, Anchored<'t>>,
    /// Nodes so far, expanded aliases included.
    nodes: usize,
    /// Nodes so far, each alias as one.
    written: usize,
    /// What anchors and aliases have cost so far.
    expanded: usize,
    root: Option<Node<'t>>,
    remarks: Vec<Remark>,
}

impl<'t> Builder<'t> {
    fn mark(&self, marker: Marker) -> Mark {
        let line = u32::try_from(marker.line()).unwrap_or(u32::MAX);
        Mark {
            line: line.saturating_add(self.first_line.saturating_sub(1)),
            column: u32::try_from(marker.col()).unwrap_or(u32::MAX),
        }
    }

    fn extent(&self, span: Span) -> Extent {
        Extent {
            start: self.mark(span.start),
            end: self.mark(span.end),
        }
    }

    /// The same text, borrowed if it stands in the document just so, which most do: the
    /// parser makes a copy of each.
    fn as_written(&self, text: Cow<'t, str>, span: Span) -> Cow<'t, str> {
        let start = span.start.index();
        let at = |start: usize| self.ascii?.get(start..start + text.len());
        // In quotes, it begins after the first of them.
        let mut written = [at(start), at(start + 1)].into_iter().flatten();
        match written.find(|written| *written == text) {
            Some(written) => Cow::Borrowed(written),
            None => text,
        }
    }

    fn scan_error(&self, error: &ScanError) -> SyntaxError {
        let at = self.mark(*error.marker());
        super::syntax_help::yaml_error(error.info(), Extent { start: at, end: at })
    }

    fn event(&mut self, event: Event<'t>, span: Span) -> Result<(), SyntaxError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let extent = self.extent(span);
                let is_text = self.is_text(style, tag.as_deref(), extent);
                let text = self.as_written(text, span);
                let scalar = Scalar { text, is_text };
                if self.expects_key() {
                    let key = self.key(scalar, extent, tag.is_none())?;
                    // An anchor on a key can be used for a value later.
                    if let Key::Named(text, extent) = &key
                        && anchor != 0
                    {
                        let node = Node {
                            value: Value::Scalar(Scalar {
                                text: text.clone(),
                                is_text: true,
                            }),
                            extent: *extent,
                        };
                        self.remember(anchor, &node, 0)?;
                    }
                    self.set_key(key);
                    return self.count(extent);
                }
                let node = Node {
                    value: Value::Scalar(scalar),
                    extent,
                };
                self.count(extent)?;
                self.add(node, anchor, 0)
            }
            Event::Alias(anchor) => self.alias(anchor, self.extent(span)),
            Event::SequenceStart(anchor, tag) => self.open(
                FrameKind::Sequence(Vec::new()),
                anchor,
                tag.as_deref(),
                span,
            ),
            Event::MappingStart(anchor, tag) => {
                let kind = FrameKind::Mapping {
                    entries: Vec::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(kind, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn is_text(&mut self, style: ScalarStyle, tag: Option<&Tag>, extent: Extent) -> bool {
        let Some(tag) = tag else {
            return style != ScalarStyle::Plain;
        };
        if tag.is_yaml_core_schema() {
            return match tag.suffix.as_str() {
                "int" | "float" | "bool" | "null" => false,
                "merge" => style != ScalarStyle::Plain,
                _ => true,
            };
        }
        // `!` alone: the non-specific tag makes it a string.
        if tag.handle.is_empty() && tag.suffix == "!" {
            return true;
        }
        self.note_tag(tag, extent);
        style != ScalarStyle::Plain
    }

    fn note_tag(&mut self, tag: &Tag, extent: Extent) {
        self.remarks.push(Remark {
            extent,
            kind: RemarkKind::UnknownTag {
                tag: format!("{}{}", tag.handle, tag.suffix),
            },
        });
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.frames.last(),
            Some(Frame {
                kind: FrameKind::Mapping { key: None, .. },
                ..
            })
        )
    }

    fn set_key(&mut self, new: Key<'t>) {
        if let Some(Frame {
            kind: FrameKind::Mapping { key, .. },
            ..
        }) = self.frames.last_mut()
        {
            *key = Some(new);
        }
    }

    /// The text of a key. Every key of a Kubernetes object is text; what is written as
    /// a boolean or a number becomes the text that `kubectl` makes of it.
    fn key(
        &mut self,
        scalar: Scalar<'t>,
        extent: Extent,
        is_untagged: bool,
    ) -> Result<Key<'t>, SyntaxError> {
        let text = match scalar.resolve() {
            Resolved::Text("<<") if !scalar.is_text && is_untagged => return Ok(Key::Merge),
            Resolved::Text(_) | Resolved::Float(_) => scalar.text,
            Resolved::Null => {
                let mut error = SyntaxError::new("invalid-yaml", "a key is missing here", extent);
                error.help = Some("write `key: value`; quote the key if it is meant to be empty");
                return Err(error);
            }
            Resolved::Bool(value) => {
                let read = if value { "true" } else { "false" };
                if scalar.text != read {
                    self.remarks.push(Remark {
                        extent,
                        kind: RemarkKind::BooleanKey {
                            written: scalar.text.into_owned(),
                            read,
                        },
                    });
                }
                Cow::Borrowed(read)
            }
            Resolved::Whole(number) => Cow::Owned(number.to_string()),
        };
        Ok(Key::Named(text, extent))
    }

    fn count(&mut self, extent: Extent) -> Result<(), SyntaxError> {
        self.nodes += 1;
        self.written += 1;
        if self.nodes > self.limits.nodes {
            return Err(too_many_values(&self.limits, extent));
        }
        Ok(())
    }

    fn open(
        &mut self,
        kind: FrameKind<'t>,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), SyntaxError> {
        let extent = self.extent(span);
        if self.expects_key() {
            let mut error = SyntaxError::new(
                "invalid-yaml",
                "a mapping or a list cannot be a key",
                extent,
            );
            error.help = Some("if this was meant to be text, quote it");
            return Err(error);
        }
        if self.frames.len() >= self.limits.nesting() {
            return Err(self.too_deep(extent));
        }
        if let Some(tag) = tag
            && !tag.is_yaml_core_schema()
        {
            self.note_tag(tag, extent);
        }
        self.count(extent)?;
        self.frames.push(Frame {
            start: extent.start,
            anchor,
            height: 0,
            kind,
        });
        Ok(())
    }

    fn too_deep(&self, extent: Extent) -> SyntaxError {
        SyntaxError::new(
            "limit-exceeded",
            format!(
                "this is nested more than {} levels deep: the document is not read",
                self.limits.nesting()
            ),
            extent,
        )
    }

    fn close(&mut self, span: Span) -> Result<(), SyntaxError> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        // Only the end of a flow collection is a character of its own.
        let is_flow = span.end.index() > span.start.index();
        let end = self.mark(span.end);
        let (value, first, last) = match frame.kind {
            FrameKind::Sequence(items) => {
                let first = items.first().map(|item| item.extent.start);
                let last = items.last().map(|item| item.extent.end);
                (Value::Sequence(items), first, last)
            }
            FrameKind::Mapping {
                mut entries,
                merges,
                ..
            } => {
                let first = entries.first().map(|entry| entry.key_extent.start);
                let last = entries
                    .last()
                    .map(|entry| entry.value.extent.end.max(entry.key_extent.end));
                drop_duplicates(&mut entries, &mut self.remarks);
                for merge in merges {
                    merge_into(&mut entries, merge)?;
                }
                (Value::Mapping(entries), first, last)
            }
        };
        let start = if is_flow {
            frame.start
        } else {
            first.unwrap_or(frame.start)
        };
        let end = if is_flow { end } else { last.unwrap_or(start) };
        let node = Node {
            value,
            extent: Extent {
                start,
                // The last value may be written elsewhere, at an anchor.
                end: end.max(start),
            },
        };
        self.add(node, frame.anchor, frame.height + 1)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node<'t>, anchor: usize, height: usize) -> Result<(), SyntaxError> {
        if anchor != 0 {
            self.remember(anchor, &node, height)?;
        }
        let Some(frame) = self.frames.last_mut() else {
            if self.root.is_none() {
                self.root = Some(node);
            }
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.kind {
            FrameKind::Sequence(items) => items.push(node),
            FrameKind::Mapping {
                entries,
                key,
                merges,
            } => match key.take() {
                Some(Key::Named(key, key_extent)) => entries.push(Entry {
                    key,
                    key_extent,
                    value: node,
                }),
                Some(Key::Merge) => merges.push(node),
                // Collections are refused as keys, scalars never come here.
                None => {}
            },
        }
        Ok(())
    }

    fn remember(
        &mut self,
        anchor: usize,
        node: &Node<'t>,
        height: usize,
    ) -> Result<(), SyntaxError> {
        let cost = cost(node);
        self.charge(cost, node.extent)?;
        let node = node.clone();
        self.anchors.insert(anchor, Anchored { node, cost, height });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, extent: Extent) -> Result<(), SyntaxError> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(SyntaxError::new(
                "invalid-yaml",
                "this alias stands inside the value that it refers to",
                extent,
            ));
        };
        let (cost, height) = (anchored.cost, anchored.height);
        if self.frames.len() + height > self.limits.nesting() {
            return Err(self.too_deep(extent));
        }
        self.charge(cost, extent)?;
        self.nodes = self.nodes.saturating_add(cost);
        self.count(extent)?;
        let Some(node) = self.anchors.get(&anchor).map(|found| found.node.clone()) else {
            return Ok(());
        };
        if self.expects_key() {
            let Value::Scalar(scalar) = node.value else {
                return Err(SyntaxError::new(
                    "invalid-yaml",
                    "a mapping or a list cannot be a key",
                    extent,
                ));
            };
            let key = self.key(scalar, extent, false)?;
            self.set_key(key);
            return Ok(());
        }
        self.add(node, 0, height)
    }

    /// Pays for a copy out of the budget for aliases.
    fn charge(&mut self, cost: usize, extent: Extent) -> Result<(), SyntaxError> {
        const PER_WRITTEN_NODE: usize = 10;
        self.expanded = self.expanded.saturating_add(cost);
        let budget = self.written.saturating_mul(PER_WRITTEN_NODE);
        let budget = budget.saturating_add(self.limits.alias_nodes);
        if self.expanded > budget {
            let mut error = SyntaxError::new(
                "limit-exceeded",
                format!(
                    "the aliases of this document expand to more than {budget} values: it is not read"
                ),
                extent,
            );
            error.help = Some("a few lines of aliases of aliases can stand for gigabytes");
            return Err(error);
        }
        Ok(())
    }
}
