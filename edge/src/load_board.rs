//! What this isolate has lately heard of its servers: load (from every admission), times to the first
//! token, and which ejected server was offered its probe.

use std::collections::BTreeMap;

use tidegate_domain::time::{Span, Timestamp};

/// How often one isolate offers an ejected server whose time is over its probe: the server grants one
/// at a time, and each refusal costs a request one hop.
const PROBE_EVERY: Span = Span::from_secs(1);
/// So long is news of a load as good as asking: a fraction of what the shortest answer takes.
const JUST_NOW: Span = Span::from_ms(100);
/// Weight of the newest sample of the time to the first token.
const NEWEST: f64 = 0.2;

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    load: Option<(u32, Timestamp)>,
    first_token_ms: Option<f64>,
    probe_offered_at: Option<Timestamp>,
}

/// News by server id: an id is unique in the installation, whichever organisation it belongs to.
#[derive(Default)]
pub struct LoadBoard {
    heard: BTreeMap<String, Heard>,
}

impl LoadBoard {
    /// A server told its load score.
    pub fn note_load(&mut self, server: &str, score: u32, now: Timestamp) {
        self.entry(server).load = Some((score, now));
    }

    /// A server took this long to its first token.
    pub fn note_first_token(&mut self, server: &str, span: Span) {
        let heard = self.entry(server);
        let sample = span.as_ms() as f64;
        let mean = heard
            .first_token_ms
            .map_or(sample, |mean| mean + (sample - mean) * NEWEST);
        heard.first_token_ms = Some(mean);
    }

    /// The load score last heard, with its time.
    pub fn load(&self, server: &str) -> Option<(u32, Timestamp)> {
        self.heard.get(server)?.load
    }

    /// Whether its load is known as well as if it had been asked.
    pub fn has_just_heard(&self, server: &str, now: Timestamp) -> bool {
        let load = self.load(server);
        load.is_some_and(|(_, at)| now >= at && now.since(at) < JUST_NOW)
    }

    /// The mean time to the first token.
    pub fn first_token_ms(&self, server: &str) -> Option<u64> {
        Some(self.heard.get(server)?.first_token_ms? as u64)
    }

    /// Whether this request may offer the server its probe; at most one a second may.
    pub fn may_probe(&mut self, server: &str, now: Timestamp) -> bool {
        let heard = self.entry(server);
        if heard
            .probe_offered_at
            .is_some_and(|at| now.since(at) < PROBE_EVERY && now >= at)
        {
            return false;
        }
        heard.probe_offered_at = Some(now);
        true
    }

    /// Forgets a server that is gone.
    pub fn forget(&mut self, server: &str) {
        self.heard.remove(server);
    }

    fn entry(&mut self, server: &str) -> &mut Heard {
        self.heard.entry(server.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_offered_once_a_second() {
        let mut board = LoadBoard::default();
        let t0 = Timestamp::from_ms(1_000_000);
        assert!(board.may_probe("a", t0));
        assert!(!board.may_probe("a", t0 + Span::from_ms(999)));
        assert!(board.may_probe("b", t0));
        assert!(board.may_probe("a", t0 + Span::from_secs(1)));
        assert!(
            board.may_probe("a", t0 - Span::from_secs(3600)),
            "a clock that jumped back blocks nothing"
        );
    }

    #[test]
    fn recent_first_tokens_weigh_more() {
        let mut board = LoadBoard::default();
        assert_eq!(board.first_token_ms("a"), None);
        board.note_first_token("a", Span::from_ms(100));
        board.note_first_token("a", Span::from_ms(200));
        assert_eq!(board.first_token_ms("a"), Some(120));
        board.note_first_token("b", Span::from_ms(7));
        board.forget("a");
        assert_eq!(board.first_token_ms("a"), None);
        assert_eq!(board.first_token_ms("b"), Some(7));
    }
}
