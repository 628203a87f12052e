//! Writing XML. Invariant: whatever text is given, the document is well-formed.

/// A document that grows.
#[derive(Debug)]
pub struct Xml(String);

impl Xml {
    /// One with nothing but its declaration.
    pub fn document() -> Self {
        Self(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
    }

    /// Begins an element.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.raw(&["<", name, ">"])
    }

    /// Begins an element in a namespace.
    pub fn open_in(&mut self, name: &str, namespace: &str) -> &mut Self {
        self.raw(&["<", name, " xmlns=\"", namespace, "\">"])
    }

    /// Ends an element.
    pub fn close(&mut self, name: &str) -> &mut Self {
        self.raw(&["</", name, ">"])
    }

    /// An element of text.
    pub fn text(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        self.open(name).escaped(text.as_ref()).close(name)
    }

    /// Text by itself.
    pub fn plain(&mut self, text: &str) -> &mut Self {
        self.escaped(text)
    }

    /// An element that holds nothing.
    pub fn empty(&mut self, name: &str) -> &mut Self {
        self.raw(&["<", name, "/>"])
    }

    /// An element with others in it.
    pub fn with(&mut self, name: &str, inner: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        inner(self);
        self.close(name)
    }

    /// A list: an element with an `item` for each.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.open(name);
        for item in items {
            self.open("item");
            write(self, item);
            self.close("item");
        }
        self.close(name)
    }

    /// A list of tags.
    pub fn tags<'a>(
        &mut self,
        tags: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> &mut Self {
        self.list("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        })
    }

    /// The document.
    pub fn finish(self) -> String {
        self.0
    }

    fn raw(&mut self, parts: &[&str]) -> &mut Self {
        parts.iter().for_each(|part| self.0.push_str(part));
        self
    }

    fn escaped(&mut self, text: &str) -> &mut Self {
        for char in text.chars() {
            match char {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\t' | '\n' | '\r' => self.0.push_str(&format!("&#{};", u32::from(char))),
                // XML 1.0 has no place for these, not even escaped.
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                _ => self.0.push(char),
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_written_stays_text() {
        let mut xml = Xml::document();
        xml.open("a")
            .text("b", "<x y=\"&\">\n\u{1}")
            .empty("c")
            .close("a");
        let expected = "<a><b>&lt;x y=&quot;&amp;&quot;&gt;&#10;\u{fffd}</b><c/></a>";
        assert!(xml.finish().ends_with(expected));
    }
}
