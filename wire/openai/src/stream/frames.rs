//! Finds where SSE frames end, with the chunks cut anywhere.
//!
//! A line ends with LF, CR or CRLF; a frame ends with an empty line
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>).
//! Invariant: a frame ends at the first byte that makes its last line empty. The LF of a closing CRLF
//! would need a look at a byte that may never come, so it is left to the head of the next frame.

/// Where the scanner stands between two bytes. Every byte is looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scanner {
    in_line: bool,
    after_cr: bool,
    lines: usize,
    saw_cr: bool,
}

/// One whole frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Offset behind its last byte.
    pub(super) end: usize,
    /// One line, closed by two LF.
    pub(super) plain: bool,
}

impl Scanner {
    /// Looks at `buffer` from `from` on, the first byte not looked at before, and stops behind the
    /// frame that ends first. `None`: the whole buffer was looked at and the frame goes on.
    pub(super) fn next_frame(&mut self, buffer: &[u8], from: usize) -> Option<Frame> {
        let mut at = from;
        loop {
            let rest = buffer.get(at..)?;
            if !self.in_line {
                match rest.first()? {
                    b'\n' if self.after_cr => {
                        self.after_cr = false;
                        at = at.saturating_add(1);
                        continue;
                    }
                    end @ (b'\n' | b'\r') => {
                        let after_cr = *end == b'\r';
                        let plain = self.lines == 1 && !self.saw_cr && !after_cr;
                        // The closing CR also says how the head of the next frame is to be read.
                        *self = Self {
                            after_cr,
                            saw_cr: after_cr,
                            ..Self::default()
                        };
                        return Some(Frame {
                            end: at.saturating_add(1),
                            plain,
                        });
                    }
                    _ => {
                        self.in_line = true;
                        self.after_cr = false;
                    }
                }
            }
            let line_end = memchr::memchr2(b'\n', b'\r', rest)?;
            self.after_cr = rest.get(line_end) == Some(&b'\r');
            self.saw_cr |= self.after_cr;
            self.in_line = false;
            self.lines = self.lines.saturating_add(1);
            at = at.saturating_add(line_end).saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scanner;

    fn frames(text: &str) -> Vec<(String, bool)> {
        let mut scanner = Scanner::default();
        let (mut start, mut found) = (0, Vec::new());
        while let Some(frame) = scanner.next_frame(text.as_bytes(), start) {
            found.push((text[start..frame.end].to_owned(), frame.plain));
            start = frame.end;
        }
        found
    }

    #[test]
    fn all_three_line_ends_close_a_frame() {
        assert_eq!(
            frames("a\n\nb\n\n"),
            [("a\n\n".to_owned(), true), ("b\n\n".to_owned(), true)]
        );
        assert_eq!(
            frames("a\r\rb\r\r"),
            [("a\r\r".to_owned(), false), ("b\r\r".to_owned(), false)]
        );
        assert_eq!(
            frames("a\r\n\r\nb\r\n\r\n"),
            [
                ("a\r\n\r".to_owned(), false),
                ("\nb\r\n\r".to_owned(), false)
            ]
        );
    }

    #[test]
    fn a_frame_of_two_lines_is_not_plain() {
        assert_eq!(frames("a\nb\n\n"), [("a\nb\n\n".to_owned(), false)]);
    }

    #[test]
    fn an_open_frame_is_not_reported() {
        assert_eq!(frames("a\nb\n"), []);
        assert_eq!(frames("a\r\n"), []);
    }
}
