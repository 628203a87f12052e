//! The boundary that a `Content-Type` announces (RFC 2046 §5.1.1, RFC 9110 §5.6.6).

use super::params::Params;
use super::refusal::BadForm;

/// Longest boundary by RFC 2046.
const MAX_BOUNDARY: usize = 70;

/// The boundary of a form, of those that every parser reads the same way.
pub(super) fn boundary(content_type: Option<&str>) -> Result<String, BadForm> {
    let (kind, params) = content_type
        .and_then(|value| value.split_once(';'))
        .ok_or(BadForm::NotAForm)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(BadForm::NotAForm);
    }
    let mut found = None;
    for param in Params::new(params) {
        let (name, value) = param.ok_or(BadForm::BadBoundary)?;
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(BadForm::BadBoundary);
        }
    }
    let boundary = found.ok_or(BadForm::NotAForm)?;
    let fits = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && !boundary.ends_with(' ')
        && boundary.bytes().all(is_boundary_char);
    if fits {
        Ok(boundary.to_owned())
    } else {
        Err(BadForm::BadBoundary)
    }
}

/// `bchars` of RFC 2046.
const fn is_boundary_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'\''
                | b'('
                | b')'
                | b'+'
                | b'_'
                | b','
                | b'-'
                | b'.'
                | b'/'
                | b':'
                | b'='
                | b'?'
                | b' '
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_may_be_quoted_and_stand_among_others() {
        for value in [
            "multipart/form-data; boundary=abc",
            "Multipart/Form-Data;BOUNDARY=\"abc\"",
            "multipart/form-data; charset=utf-8 ; boundary = abc ;",
        ] {
            assert_eq!(boundary(Some(value)).as_deref(), Ok("abc"), "{value}");
        }
        assert_eq!(
            boundary(Some("multipart/form-data; boundary=\"a b:c\"")).as_deref(),
            Ok("a b:c")
        );
    }

    #[test]
    fn what_two_parsers_read_differently_is_refused() {
        for value in [
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=\"a\"b",
            "multipart/form-data; boundary=ä",
            "multipart/form-data; boundary=a b",
        ] {
            assert_eq!(boundary(Some(value)), Err(BadForm::BadBoundary), "{value}");
        }
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        assert_eq!(boundary(Some(&long)), Err(BadForm::BadBoundary));
    }

    #[test]
    fn other_types_are_no_form() {
        for value in [
            None,
            Some("application/json"),
            Some("multipart/form-data"),
            Some("multipart/mixed; boundary=a"),
            Some("multipart/form-data; charset=utf-8"),
        ] {
            assert_eq!(boundary(value), Err(BadForm::NotAForm), "{value:?}");
        }
    }
}
