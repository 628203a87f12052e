//! The header block of a part: which field it is.
//!
//! Invariant: a block from which two parsers may read two names is refused, because one of them decides
//! here which model a key may use and the other one decides at the server.

use super::params::Params;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    /// A file, or text in some transfer coding: not to be read as a plain value.
    pub(super) is_opaque: bool,
}

/// Reads a block without its last empty line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(block: &[u8]) -> Result<Part<'_>, &'static str> {
    let block = std::str::from_utf8(block).map_err(|_| "a part's headers are not UTF-8")?;
    let (mut part, mut coded) = (None, false);
    for line in block.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            return Err("a part's header goes on in the next line");
        }
        if line.contains(['\r', '\n', '\0']) {
            return Err("a part's headers do not end their lines with CR LF");
        }
        let (name, value) = line
            .split_once(':')
            .filter(|(name, _)| !name.is_empty() && !name.ends_with([' ', '\t']))
            .ok_or("a part has a line that is no header")?;
        if name.eq_ignore_ascii_case("content-disposition") {
            if part.replace(disposition(value)?).is_some() {
                return Err("a part has two content dispositions");
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["7bit", "8bit", "binary"];
            coded |= !plain
                .iter()
                .any(|known| value.trim().eq_ignore_ascii_case(known));
        }
    }
    let part = part.ok_or("a part has no content disposition")?;
    Ok(Part {
        is_opaque: part.is_opaque || coded,
        ..part
    })
}

fn disposition(value: &str) -> Result<Part<'_>, &'static str> {
    const UNREADABLE: &str = "a content disposition cannot be read";
    let (kind, params) = value.split_once(';').ok_or(UNREADABLE)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("a part's content disposition is not form-data");
    }
    let (mut name, mut is_opaque) = (None, false);
    for param in Params::new(params) {
        let (key, value) = param.ok_or(UNREADABLE)?;
        if key.eq_ignore_ascii_case("name*") {
            return Err("a part's name is given as `name*`");
        }
        if key.eq_ignore_ascii_case("name") && name.replace(value).is_some() {
            return Err("a part has two names");
        }
        is_opaque |= key.eq_ignore_ascii_case("filename") || key.eq_ignore_ascii_case("filename*");
    }
    let name = name.ok_or("a part has no name")?;
    Ok(Part { name, is_opaque })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(block: &str) -> Result<(&str, bool), &'static str> {
        read(block.as_bytes()).map(|part| (part.name, part.is_opaque))
    }

    #[test]
    fn names_are_read_as_clients_write_them() {
        for (block, expected) in [
            (
                "Content-Disposition: form-data; name=\"model\"",
                ("model", false),
            ),
            ("content-disposition:form-data;name=model", ("model", false)),
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"a; name=b.wav\"\r\nContent-Type: audio/wav",
                ("file", true),
            ),
            (
                "Content-Type: text/plain\r\nContent-Disposition: form-data; filename*=UTF-8''%e2.wav; name=\"file\"",
                ("file", true),
            ),
            (
                "Content-Disposition: form-data; name=\"x\"; filename=\"C:\\a.wav\"",
                ("x", true),
            ),
            (
                "Content-Disposition: form-data; name=\"image[]\"\r\nContent-Transfer-Encoding: base64",
                ("image[]", true),
            ),
            ("Content-Disposition: form-data; name=\"\"", ("", false)),
        ] {
            assert_eq!(named(block), Ok(expected), "{block}");
        }
    }

    #[test]
    fn what_two_parsers_read_differently_is_refused() {
        for block in [
            "",
            "Content-Type: text/plain",
            "Content-Disposition: form-data",
            "Content-Disposition: form-data; filename=\"a\"",
            "Content-Disposition: attachment; name=\"model\"",
            "Content-Disposition: form-data; name=\"a\"; name=\"model\"",
            "Content-Disposition: form-data; name=\"a\"; name*=UTF-8''model",
            "Content-Disposition: form-data; filename=\"a\\\"; name=\"model\"",
            "Content-Disposition: form-data; name=\"a\" name=\"model\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"",
            "Content-Disposition: form-data;\r\n name=\"model\"",
            "Content-Disposition: form-data; name=\"a\"\nContent-Disposition: form-data; name=\"model\"",
            "Content-Disposition : form-data; name=\"model\"",
            "Content-Disposition: form-data; name=\"model",
            "no header",
        ] {
            assert!(named(block).is_err(), "{block:?}");
        }
    }
}
