//! How deep a JSON text nests, found without recursion.
//!
//! `serde_json` skips unknown values in a loop, so a million brackets pass it unharmed and would only
//! blow the stack of whoever parses the text next: the model server or the client. This check stands
//! before both. It does not validate; on text that is not JSON its answer means nothing.

/// Deepest nesting let through in either direction. `serde_json` builds trees down to 128 levels and
/// Python's parser gives up near 1000; real tool schemas stay under 30.
pub const MAX_DEPTH: usize = 128;

/// Whether brackets nest deeper than `limit`.
pub(crate) fn deeper_than(json: &[u8], limit: usize) -> bool {
    // Every level needs its two brackets, so a short text cannot be deep and skips the scan.
    if json.len() <= limit.saturating_mul(2) {
        return false;
    }
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    false
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    loop {
        let rest = bytes.as_slice();
        let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
            *bytes = [].iter();
            return;
        };
        let escaped = rest.get(at) == Some(&b'\\');
        let skip = if escaped {
            at.saturating_add(2)
        } else {
            at.saturating_add(1)
        };
        *bytes = rest.get(skip..).unwrap_or_default().iter();
        if !escaped {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::deeper_than;

    #[test]
    fn depth_is_exact_at_the_limit() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!deeper_than(nested(128).as_bytes(), 128));
        assert!(deeper_than(nested(129).as_bytes(), 128));
        assert!(deeper_than("[".repeat(1_000_000).as_bytes(), 128));
    }

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        let text = format!(r#"{{"a":"{}\"[[[\\"}}"#, "[".repeat(300));
        assert!(!deeper_than(text.as_bytes(), 2));
    }

    #[test]
    fn siblings_do_not_add_up() {
        assert!(!deeper_than("[[],[],[],[],[],[]]".repeat(9).as_bytes(), 2));
    }
}
