//! The parameters of a header value: `; name=token; name="text"`.
//!
//! Invariant: yields only what every parser reads alike. A backslash before a quotation mark ends the
//! text for one parser and not for another, so it is refused; before anything else it stands for itself,
//! as browsers and operating systems write it (`C:\sound.wav`).

/// Iterates over what follows the first semicolon; `None` as an item means that it cannot be read.
pub(super) struct Params<'a> {
    rest: &'a str,
}

impl<'a> Params<'a> {
    pub(super) const fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    fn read(&mut self) -> Option<(&'a str, &'a str)> {
        let (name, rest) = self.rest.split_once('=')?;
        let (name, rest) = (name.trim_matches(BLANK), rest.trim_start_matches(BLANK));
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (text, rest) = quoted.split_once('"')?;
                (!text.ends_with('\\')).then_some((text, rest))?
            }
            None => {
                let end = rest.find([';', ' ', '\t']).unwrap_or(rest.len());
                let (token, rest) = rest.split_at(end);
                token.bytes().all(is_plain).then_some((token, rest))?
            }
        };
        let rest = rest.trim_start_matches(BLANK);
        self.rest = match rest.strip_prefix(';') {
            Some(more) => more,
            None if rest.is_empty() => "",
            None => return None,
        };
        (!name.is_empty() && name.bytes().all(is_plain)).then_some((name, value))
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// Of a name, or of a value without quotation marks. Wider than `token` of RFC 9110: boundaries with a
/// colon or a slash go unquoted in practice.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b';' | b',')
}

impl<'a> Iterator for Params<'a> {
    type Item = Option<(&'a str, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(BLANK);
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.rest = "";
        }
        Some(read)
    }
}
