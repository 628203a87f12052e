//! The two text formats of Prometheus: 0.0.4, and OpenMetrics 1.0 for whoever asks for it.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

/// How a scrape is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Plain,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Format {
    /// OpenMetrics where `Accept` asks for its version 1 and for nothing else more, else the plain one,
    /// which everybody reads.
    pub fn wanted(accept: &str) -> Self {
        let (mut open, mut plain) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0_f32, None);
            for part in parts {
                match part.split_once('=') {
                    Some(("q", q)) => quality = q.parse().unwrap_or(0.0),
                    Some(("version", it)) => version = Some(it.trim_matches('"').to_owned()),
                    _ => {}
                }
            }
            let is_ours =
                |versions: &[&str]| version.as_deref().is_none_or(|it| versions.contains(&it));
            match kind.as_str() {
                "application/openmetrics-text" if is_ours(&["1.0.0"]) => open = quality.max(open),
                "text/plain" if is_ours(&["0.0.4"]) => plain = quality.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Times in buckets.
    Histogram,
}

/// A family of series.
pub struct Family {
    /// Its name, a counter's without `_total`.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// Its unit, with which the name then ends.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
}

impl Family {
    /// The name of its samples, as queries have it; a histogram's without its suffixes.
    pub fn queried(&self) -> String {
        let suffix = if self.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        format!("{}{suffix}", self.name)
    }
}

/// A scrape being written.
pub struct Text {
    format: Format,
    text: String,
}

impl Text {
    /// An empty one.
    pub const fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // The older format knows a counter by the name of its samples.
        let name = match self.format {
            Format::Plain => family.queried(),
            Format::OpenMetrics => family.name.to_owned(),
        };
        self.line(&["# HELP ", &name, " ", family.help]);
        self.line(&["# TYPE ", &name, " ", kind]);
        if self.format == Format::OpenMetrics && !family.unit.is_empty() {
            self.line(&["# UNIT ", &name, " ", family.unit]);
        }
    }

    /// A sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let mut written = String::new();
        for (label, value) in labels {
            written.push_str(if written.is_empty() { "{" } else { "," });
            written.push_str(label);
            written.push_str("=\"");
            for char in value.chars() {
                match char {
                    '\\' => written.push_str("\\\\"),
                    '"' => written.push_str("\\\""),
                    '\n' => written.push_str("\\n"),
                    char => written.push(char),
                }
            }
            written.push('"');
        }
        if !written.is_empty() {
            written.push('}');
        }
        self.line(&[name, &written, " ", value]);
    }

    /// The whole.
    pub fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.line(&["# EOF"]);
        }
        self.text
    }

    fn line(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
        self.text.push('\n');
    }
}

/// Thousandths as a decimal: 1500 is `1.5`.
pub fn thousandths(count: u64) -> String {
    decimal(count, 1_000, 3)
}

/// Millionths as a decimal.
pub fn millionths(count: u64) -> String {
    decimal(count, 1_000_000, 6)
}

fn decimal(count: u64, one: u64, digits: usize) -> String {
    let text = format!("{}.{:0digits$}", count / one, count % one);
    let short = text.trim_end_matches('0');
    // A whole number keeps a digit behind its point, as bounds of buckets are written.
    if short.ends_with('.') {
        format!("{short}0")
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_format_is_for_those_who_ask_for_it() {
        for accept in [
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        ] {
            assert_eq!(Format::wanted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;q=0.9",
        ] {
            assert_eq!(Format::wanted(accept), Format::Plain, "{accept}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::new(Format::OpenMetrics);
        text.sample("a", &[("b", "x\\y\"z\nend"), ("c", "é")], "1");
        text.sample("a", &[], "2");
        let expected = "a{b=\"x\\\\y\\\"z\\nend\",c=\"é\"} 1\na 2\n# EOF\n";
        assert_eq!(text.end(), expected);
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(thousandths(0), "0.0");
        assert_eq!(thousandths(10), "0.01");
        assert_eq!(thousandths(300_000), "300.0");
        assert_eq!(millionths(1), "0.000001");
        assert_eq!(millionths(12_500_000), "12.5");
        assert_eq!(thousandths(u64::MAX), "18446744073709551.615");
    }
}
