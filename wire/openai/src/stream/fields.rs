//! The fields of one SSE frame, and the usual way to write them.

use std::borrow::Cow;

/// One frame taken apart. Fields that mean nothing to an OpenAI client (`retry`, unknown names) are left out.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) event: Option<&'a str>,
    id: Option<&'a str>,
    /// The data lines joined with LF; `None` without any.
    pub(super) data: Option<Cow<'a, str>>,
    /// Comment lines with their colon.
    pub(super) comments: Vec<&'a str>,
    /// `event: error`, or the `error:` field that llama.cpp once wrote in place of `data:`.
    pub(super) is_error: bool,
}

impl<'a> Fields<'a> {
    /// Takes a frame apart. Empty lines are skipped, so that the LF which the frame before left behind
    /// and the closing line need no care.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut fields = Self::default();
        for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
            if line.starts_with(':') {
                fields.comments.push(line);
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "data" => fields.add_data(value),
                "event" => fields.event = Some(value),
                "id" => fields.id = Some(value),
                "error" => {
                    fields.is_error = true;
                    fields.add_data(value);
                }
                _ => {}
            }
        }
        fields.is_error |= fields.event == Some("error") && fields.data.is_some();
        fields
    }

    fn add_data(&mut self, line: &'a str) {
        self.data = Some(match self.data.take() {
            None => Cow::Borrowed(line),
            Some(before) => Cow::Owned(format!("{before}\n{line}")),
        });
    }

    /// The frame on the fewest lines. Data has been found to be JSON or `[DONE]`, in which a line
    /// break stands only between tokens, so that a space may take its place.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut out = String::new();
        if let Some(data) = self.data.as_deref() {
            for (name, value) in [("event", self.event), ("id", self.id)] {
                if let Some(value) = value {
                    out.extend([name, ": ", value, "\n"]);
                }
            }
            out.extend([
                "data: ",
                data.replace('\n', " ").trim_matches([' ', '\t']),
                "\n",
            ]);
        } else {
            for comment in &self.comments {
                out.extend([comment, "\n"]);
            }
        }
        out.push('\n');
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    fn mended(text: &str) -> String {
        String::from_utf8(Fields::parse(text).render()).unwrap()
    }

    #[test]
    fn one_space_after_the_colon_is_not_part_of_the_value() {
        assert_eq!(Fields::parse("data:x\n\n").data.as_deref(), Some("x"));
        assert_eq!(Fields::parse("data: x\n\n").data.as_deref(), Some("x"));
        assert_eq!(Fields::parse("data:  x\n\n").data.as_deref(), Some(" x"));
        assert_eq!(Fields::parse("data\n\n").data.as_deref(), Some(""));
    }

    #[test]
    fn many_data_lines_become_one() {
        assert_eq!(mended("data: {\r\ndata: }\r\n\r"), "data: { }\n\n");
    }

    #[test]
    fn event_and_id_stay_and_retry_goes() {
        assert_eq!(
            mended("id: 7\nretry: 10\nevent: e\ndata: {}\n\n"),
            "event: e\nid: 7\ndata: {}\n\n"
        );
    }

    #[test]
    fn a_lone_comment_stays() {
        assert_eq!(mended(": still here\r\r"), ": still here\n\n");
    }
}
