//! The XML that EC2 and STS answer in, as a tree of names and texts.
//!
//! Invariant: a document is looked at only if it is small and shallow enough to be an answer; it declares no
//! entities. Namespaces are ignored: they change with the API's version and say nothing.
//!
//! In scope: reading. Out of scope: what the names mean.

use roxmltree::{Document, Node, ParsingOptions};

/// A page of 200 machines with every field that there is stays below 3 MB.
const MOST_BYTES: usize = 16 << 20;
/// One machine is about 200 nodes.
const MOST_NODES: u32 = 500_000;

/// A readable document, or nothing.
pub(crate) struct Xml<'a>(Document<'a>);

impl<'a> Xml<'a> {
    /// Reads a document.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: MOST_NODES,
            ..ParsingOptions::default()
        };
        Document::parse_with_options(text, options).ok().map(Self)
    }

    /// The outermost element.
    pub(crate) fn root(&self) -> Element<'_, 'a> {
        Element(self.0.root_element())
    }
}

/// An element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'d, 'a>(Node<'d, 'a>);

impl<'d, 'a: 'd> Element<'d, 'a> {
    /// Its name without a namespace.
    pub(crate) fn name(&self) -> &'d str {
        self.0.tag_name().name()
    }

    /// The first element of this name directly below.
    pub(crate) fn child(&self, name: &str) -> Option<Self> {
        self.0
            .children()
            .find(|node| node.is_element() && node.tag_name().name() == name)
            .map(Self)
    }

    /// What stands below a path of names: `placement/availabilityZone`. An empty path is the element itself.
    pub(crate) fn at(&self, path: &str) -> Option<Self> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(*self, |element, name| element.child(name))
    }

    /// The text at a path, without blanks around it; nothing where there is none.
    pub(crate) fn text(&self, path: &str) -> Option<&'d str> {
        let text = self.at(path)?.0.text()?.trim();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The text at a path as something that is written as text.
    pub(crate) fn parsed<T: core::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// The `item`s of the list at a path; none where there is no list.
    pub(crate) fn items(&self, path: &str) -> impl Iterator<Item = Self> + use<'d, 'a> {
        self.at(path)
            .into_iter()
            .flat_map(|list| list.0.children())
            .filter(|node| node.is_element() && node.tag_name().name() == "item")
            .map(Self)
    }
}
