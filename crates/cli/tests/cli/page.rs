//! The page that `check -o html` writes, without a browser: that it is one, that it asks
//! nobody for anything, and that manifests cannot write markup into it.
//!
//! How it looks is for people: `scripts/page-pictures.sh` takes pictures of it.

use crate::check::{HOSTILE, SHOP};
use crate::{SMALL, ringfence, ringfence_with};

/// A tag of a page, or text between tags.
#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

/// Reads a page as XML, in which it is written, and returns its tags. Panics where tags
/// do not match, an attribute has no quotes, or text has a character that must be
/// escaped.
fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut rest = page.strip_prefix("<!doctype html>\n").unwrap();
    let mut open: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        is_text(text);
        let (tag, after) = quoted_until(&tag[1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "what is open is closed");
            continue;
        }
        let (tag, is_empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "<{tag}>");
        found.push(Tag {
            name,
            attributes: read_attributes(attributes),
        });
        if name == "style" {
            let (styles, after) = rest.split_once("</style>").unwrap();
            assert!(!styles.contains(['<', '&']), "styles are not escaped");
            rest = after;
        } else if !is_empty {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    found
}

/// A tag up to its `>`, which may stand in quotes before.
fn quoted_until(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (position, c) in text.char_indices() {
        quoted ^= c == '"';
        if c == '>' && !quoted {
            return (&text[..position], &text[position + 1..]);
        }
    }
    panic!("a tag does not end: {text}");
}

fn read_attributes(text: &str) -> Vec<(&str, &str)> {
    let mut rest = text.trim();
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (value, after) = after.split_once('"').unwrap();
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{name}"
        );
        is_text(value);
        attributes.push((name, value));
        rest = after.trim_start();
    }
    attributes
}

fn is_text(text: &str) {
    assert!(!text.contains('<'), "{text}");
    for part in text.split('&').skip(1) {
        let (entity, _) = part.split_once(';').unwrap_or((part, ""));
        assert!(
            ["amp", "lt", "gt", "quot", "#39"].contains(&entity),
            "&{part}"
        );
    }
}

fn pages() -> Vec<String> {
    let broken = format!("{SMALL}---\nkind: [\n");
    let mut pages = vec![ringfence(&format!("{SHOP} -o html")).stdout];
    for input in [
        SMALL,
        HOSTILE,
        &broken,
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
    ] {
        pages.push(ringfence_with("check -f - -o html", input).stdout);
    }
    pages
}

#[test]
fn a_page_is_well_formed_and_links_lead_somewhere() {
    for page in pages() {
        let tags = tags(&page);
        let values = |wanted: &'static str| {
            let attributes = tags.iter().flat_map(|tag| &tag.attributes);
            attributes
                .filter(move |(name, _)| *name == wanted)
                .map(|(_, value)| *value)
        };
        let mut ids: Vec<&str> = values("id").collect();
        for link in values("href").filter_map(|href| href.strip_prefix('#')) {
            assert!(ids.contains(&link), "#{link}");
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id is given once");
    }
}

#[test]
fn a_page_asks_nobody_for_anything() {
    for page in pages() {
        let tags = tags(&page);
        for tag in &tags {
            let name = tag.name;
            assert!(!["script", "link", "iframe", "object", "base", "form"].contains(&name));
            for (attribute, value) in &tag.attributes {
                assert!(!attribute.starts_with("on"), "{attribute}");
                match *attribute {
                    "src" => assert!(value.starts_with("data:image/svg+xml,"), "{value}"),
                    "href" => assert!(
                        value.starts_with('#')
                            || value.starts_with("https://ringfence.dev/findings/RF"),
                        "{value}"
                    ),
                    "style" | "srcset" | "action" | "background" => panic!("{attribute}"),
                    _ => {}
                }
            }
        }
        let (_, styles) = page.split_once("<style>").unwrap();
        let (styles, _) = styles.split_once("</style>").unwrap();
        for asking in ["url(", "@import", "http:", "https:", "image-set("] {
            assert!(!styles.contains(asking), "{asking}");
        }
        assert!(
            page.contains(
                "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\""
            )
        );
    }
}

#[test]
fn a_page_shows_markup_in_names_as_text() {
    let page = ringfence_with("check -f - -o html", HOSTILE).stdout;
    assert!(page.contains("n&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;]]&gt;"));
    assert!(page.contains("p␊::error::forged ␛[31mred␛[0m"));
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
    for tag in tags(&page) {
        assert!(!["script", "svg"].contains(&tag.name));
    }
}
