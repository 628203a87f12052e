//! Where machines and vendors on the internet can call this gateway.
//!
//! Invariant: what passes is an origin or a path below one, without a slash at its end, so that a path can be
//! appended to it.

/// The text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be the address at which the internet reaches this gateway, such as https://gpu.example.com: https \
     (http for tests), a host, no query"
)]
pub struct PublicUrlRefused;

/// Reads the address; nothing for an empty text.
///
/// # Errors
/// When it is something else.
pub fn read(text: &str) -> Result<Option<String>, PublicUrlRefused> {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or(PublicUrlRefused)?;
    let host = rest.split('/').next().unwrap_or_default();
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
    let is_bare = !rest.contains(['?', '#', '@', '\\', '"', '\'', '<', '>', '`', '$']);
    if host.is_empty() || !is_plain || !is_bare {
        return Err(PublicUrlRefused);
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_the_slash_at_its_end() {
        for (text, url) in [
            ("https://gpu.example.com", "https://gpu.example.com"),
            (" https://gpu.example.com/ ", "https://gpu.example.com"),
            (
                "https://example.com/tidegate/",
                "https://example.com/tidegate",
            ),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ] {
            assert_eq!(read(text), Ok(Some(url.to_owned())), "{text}");
        }
        assert_eq!(read(" "), Ok(None));
    }

    #[test]
    fn what_could_not_be_appended_to_is_refused() {
        for text in [
            "gpu.example.com",
            "ftp://gpu.example.com",
            "https://",
            "https:///x",
            "https://a b",
            "https://a?b",
            "https://a#b",
            "https://user:key@a",
            "https://a/$(id)",
            "https://a'b",
        ] {
            assert_eq!(read(text), Err(PublicUrlRefused), "{text}");
        }
    }
}
