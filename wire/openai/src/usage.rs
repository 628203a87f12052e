//! Token counts as the server reports them, under OpenAI's older names (`prompt_tokens`), its newer ones
//! (`input_tokens`) or Anthropic's.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Tokens of one request. A count that the server left out is zero, except that a missing total is
/// the sum of the other two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens the model read.
    pub prompt_tokens: u64,
    /// Tokens the model wrote.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
}

#[derive(Deserialize)]
struct Reported<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_creation_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_read_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_tokens: Option<&'a RawValue>,
}

impl Usage {
    /// Reads a `usage` value. `None` when it is no object or none of its counts is a whole number:
    /// a server that cannot count must not cost the client its answer.
    pub fn read(json: &str) -> Option<Self> {
        // A derived struct would take a list for its fields in order.
        if !json.starts_with('{') {
            return None;
        }
        let reported: Reported<'_> = serde_json::from_str(json).ok()?;
        let count = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse::<u64>().ok());
        // Anthropic counts what was in the cache beside the input, OpenAI as a part of it.
        let beside = [
            reported.cache_creation_input_tokens,
            reported.cache_read_input_tokens,
        ];
        let cached = beside
            .into_iter()
            .filter_map(count)
            .fold(0, u64::saturating_add);
        let input = count(reported.input_tokens).map(|input| input.saturating_add(cached));
        let prompt = count(reported.prompt_tokens).or(input);
        let completion = count(reported.completion_tokens).or(count(reported.output_tokens));
        let total = count(reported.total_tokens);
        prompt.or(completion).or(total)?;
        let prompt_tokens = prompt.unwrap_or(0);
        let completion_tokens = completion.unwrap_or(0);
        Some(Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: total.unwrap_or(prompt_tokens.saturating_add(completion_tokens)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn counts_are_read_and_the_rest_is_ignored() {
        let usage = Usage::read(
            r#"{"completion_tokens":4,"prompt_tokens":3,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}}"#,
        );
        assert_eq!(
            usage,
            Some(Usage {
                prompt_tokens: 3,
                completion_tokens: 4,
                total_tokens: 7
            })
        );
    }

    #[test]
    fn the_newer_names_and_anthropics_cache_counts_are_read() {
        let read =
            |json| Usage::read(json).map(|usage| (usage.prompt_tokens, usage.completion_tokens));
        let newer = r#"{"input_tokens":12,"output_tokens":2,"total_tokens":14,"input_tokens_details":{"cached_tokens":4}}"#;
        assert_eq!(read(newer), Some((12, 2)));
        let anthropic = r#"{"cache_read_input_tokens":13,"cache_creation_input_tokens":null,"input_tokens":1,"output_tokens":10}"#;
        assert_eq!(read(anthropic), Some((14, 10)));
        assert_eq!(read(r#"{"output_tokens":2}"#), Some((0, 2)));
    }

    #[test]
    fn a_missing_total_is_the_sum() {
        let usage = Usage::read(r#"{"prompt_tokens":3,"completion_tokens":4}"#);
        assert_eq!(usage.map(|usage| usage.total_tokens), Some(7));
    }

    #[test]
    fn rubbish_counts_are_no_usage() {
        for rubbish in [
            "null",
            "{}",
            "[]",
            "7",
            r#"{"prompt_tokens":"3"}"#,
            r#"{"prompt_tokens":-1}"#,
        ] {
            assert_eq!(Usage::read(rubbish), None, "{rubbish}");
        }
    }
}
