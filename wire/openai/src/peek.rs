//! A look at a request body: the few fields that routing needs, and where they stand.
//!
//! Invariant: `peek(body)` succeeds only when every JSON parser reads the same model, the same
//! `stream` and the same limits from `body`: a body on which two parsers may disagree is refused, and
//! so is one that no parser should be given (broken UTF-8, endless nesting).
//!
//! In scope: top-level fields of JSON requests. Out of scope: whether messages, tools or sampling values
//! make sense; the model server says that.

mod null_spans;
mod refusal;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde_json::value::RawValue;

use crate::affinity::fnv1a;
use crate::endpoint::Endpoint;
use crate::members::{span_in, walk_object};
use crate::nesting::{MAX_DEPTH, deeper_than};

use null_spans::NullSpans;
pub use refusal::BadRequest;

/// What a body may cost to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeekLimits {
    /// Deepest nesting of objects and arrays.
    pub max_depth: usize,
    /// How many bytes of the prompt decide its affinity. 1 KiB holds a usual system prompt, which is
    /// what conversations share, and seldom reaches the part in which they differ.
    pub affinity_bytes: usize,
    /// Longest model name, in bytes. The longest on public hubs stay under 128.
    pub max_model_bytes: usize,
}

impl Default for PeekLimits {
    fn default() -> Self {
        Self {
            max_depth: MAX_DEPTH,
            affinity_bytes: 1024,
            max_model_bytes: 256,
        }
    }
}

/// What a body says, and the byte ranges that [`rewrite`](crate::rewrite()) may splice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The model asked for, never empty.
    pub model: String,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// Whether the client asked for the usage chunk (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The largest of `max_tokens`, `max_completion_tokens` and `max_output_tokens`: servers differ in
    /// which one wins, and a reservation must cover all.
    pub max_tokens: Option<u64>,
    /// How many choices were asked for.
    pub n: Option<u64>,
    /// FNV-1a of the prompt's first bytes, equal for prompts that begin alike; `None` without a prompt.
    pub affinity: Option<u64>,
    /// Estimated size of the prompt: a token is about four bytes of English.
    pub prompt_tokens_estimate: u64,
    /// The answer that this request continues, which only one server holds.
    pub previous_response_id: Option<String>,
    /// Whether the server shall keep the answer (`store`), as far as the request says.
    pub store: Option<bool>,
    /// The fields that carry what the model reads, of those that are there and not null.
    inputs: Vec<&'static str>,
    messages_is_array: bool,
    pub(crate) spans: RewriteSpans,
}

/// Where the splices of a rewrite go, as byte ranges of the body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RewriteSpans {
    pub(crate) model: Range<usize>,
    pub(crate) usage: UsageSpan,
    /// The value of `previous_response_id`.
    pub(crate) previous: Option<Range<usize>>,
    /// Top-level members whose value is null, each with the comma that goes with it; ascending.
    pub(crate) nulls: Vec<Range<usize>>,
}

/// What asking for usage takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum UsageSpan {
    /// The client asked already.
    Asked,
    /// No `stream_options`: it goes behind the model.
    #[default]
    NoOptions,
    /// This value (`null`) gives way to a whole `stream_options` object.
    ReplaceOptions(Range<usize>),
    /// This value (`null` or `false`) of `include_usage` gives way to `true`.
    ReplaceFlag(Range<usize>),
    /// Behind this opening brace of `stream_options`; `bare` when no member follows.
    InsertFlag { at: usize, bare: bool },
}

/// A field that the gateway reads: its value, and whether it stood more than once.
#[derive(Default)]
struct Slot<'a> {
    value: Option<&'a RawValue>,
    repeated: bool,
}

impl<'a> Slot<'a> {
    fn set(&mut self, value: &'a RawValue) {
        self.repeated = self.value.is_some();
        self.value = Some(value);
    }

    /// The value unless it is absent or null.
    fn given(&self, param: &'static str) -> Result<Option<&'a RawValue>, BadRequest> {
        if self.repeated {
            return Err(BadRequest::Duplicate { param });
        }
        Ok(self.value.filter(|value| value.get() != "null"))
    }
}

#[derive(Default)]
struct Slots<'a> {
    model: Slot<'a>,
    stream: Slot<'a>,
    stream_options: Slot<'a>,
    max_tokens: Slot<'a>,
    max_completion_tokens: Slot<'a>,
    max_output_tokens: Slot<'a>,
    n: Slot<'a>,
    store: Slot<'a>,
    previous_response_id: Slot<'a>,
    inputs: [Slot<'a>; INPUTS.len()],
}

/// What models read, in the order in which it comes first to them: conversations share their system prompt.
const INPUTS: [&str; 9] = [
    "system",
    "instructions",
    "messages",
    "prompt",
    "input",
    "query",
    "documents",
    "content",
    "tokens",
];

impl<'a> Slots<'a> {
    fn named(&mut self, name: &str) -> Option<&mut Slot<'a>> {
        Some(match name {
            "model" => &mut self.model,
            "stream" => &mut self.stream,
            "stream_options" => &mut self.stream_options,
            "max_tokens" => &mut self.max_tokens,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "max_output_tokens" => &mut self.max_output_tokens,
            "n" => &mut self.n,
            "store" => &mut self.store,
            "previous_response_id" => &mut self.previous_response_id,
            _ => {
                let at = INPUTS.iter().position(|input| *input == name)?;
                self.inputs.get_mut(at)?
            }
        })
    }
}

/// Reads what routing needs from a request body.
///
/// # Errors
/// [`BadRequest`], always a 400 that names the field at fault.
pub fn peek(body: &[u8], limits: &PeekLimits) -> Result<Peek, BadRequest> {
    let text = std::str::from_utf8(body).map_err(|error| BadRequest::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    if deeper_than(body, limits.max_depth) {
        return Err(BadRequest::TooDeep {
            limit: limits.max_depth,
        });
    }
    let mut slots = Slots::default();
    let mut nulls = NullSpans::default();
    walk_object(text, |member| {
        nulls.note(&member);
        if let Some(slot) = slots.named(&member.name) {
            slot.set(member.value);
        }
    })
    .map_err(|error| refusal::unreadable(text, &error))?;

    let model_raw = slots
        .model
        .given("model")?
        .ok_or(BadRequest::Missing { param: "model" })?;
    let model = string(model_raw, "model")?;
    if model.trim().is_empty() {
        return Err(BadRequest::Empty { param: "model" });
    }
    if model.len() > limits.max_model_bytes {
        return Err(BadRequest::TooLong {
            param: "model",
            limit: limits.max_model_bytes,
        });
    }
    let stream = slots
        .stream
        .given("stream")?
        .map(|raw| boolean(raw, "stream"))
        .transpose()?;
    let max_tokens = count(&slots.max_tokens, "max_tokens")?;
    let max_completion_tokens = count(&slots.max_completion_tokens, "max_completion_tokens")?;
    let max_output_tokens = count(&slots.max_output_tokens, "max_output_tokens")?;
    let n = count(&slots.n, "n")?;
    if n == Some(0) {
        return Err(BadRequest::WrongType {
            param: "n",
            expected: "an integer of at least 1",
        });
    }
    let (include_usage, usage) = usage_span(text, &slots.stream_options)?;
    let mut inputs = Vec::new();
    for (name, slot) in INPUTS.into_iter().zip(&slots.inputs) {
        if let Some(raw) = slot.given(name)? {
            inputs.push((name, raw.get()));
        }
    }
    let prompt_bytes = inputs
        .iter()
        .map(|(_, raw)| u64::try_from(raw.len()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add);
    // Not every engine has it as a flag; what is none says nothing here.
    let store = slots
        .store
        .given("store")?
        .and_then(|raw| boolean(raw, "store").ok());
    let previous = slots.previous_response_id.given("previous_response_id")?;
    let previous_response_id = previous
        .map(|raw| string(raw, "previous_response_id"))
        .transpose()?;

    Ok(Peek {
        stream: stream.unwrap_or(false),
        include_usage,
        max_tokens: max_tokens.max(max_completion_tokens).max(max_output_tokens),
        n,
        affinity: affinity(&inputs, limits.affinity_bytes),
        prompt_tokens_estimate: prompt_bytes.div_ceil(4),
        previous_response_id,
        store,
        messages_is_array: inputs
            .iter()
            .any(|(name, raw)| *name == "messages" && raw.starts_with('[')),
        inputs: inputs.into_iter().map(|(name, _)| name).collect(),
        spans: RewriteSpans {
            model: span_in(text, model_raw.get()),
            usage,
            previous: previous.map(|raw| span_in(text, raw.get())),
            nulls: nulls.finish(),
        },
        model,
    })
}

/// The hash of the head of what the model reads, its parts one behind the other.
fn affinity(inputs: &[(&'static str, &str)], limit: usize) -> Option<u64> {
    if inputs.is_empty() {
        return None;
    }
    let mut head = Vec::with_capacity(limit);
    for (_, raw) in inputs {
        let room = limit.saturating_sub(head.len());
        head.extend_from_slice(raw.as_bytes().get(..room).unwrap_or(raw.as_bytes()));
    }
    Some(fnv1a(&head))
}

impl Peek {
    /// What there is to know of a request without a body.
    pub fn of_model(model: String, stream: bool) -> Self {
        Self {
            model,
            stream,
            include_usage: false,
            max_tokens: None,
            n: None,
            affinity: None,
            prompt_tokens_estimate: 0,
            previous_response_id: None,
            store: None,
            inputs: Vec::new(),
            messages_is_array: false,
            spans: RewriteSpans::default(),
        }
    }

    /// Whether a field that carries what the model reads is there and not null.
    pub fn has(&self, input: &str) -> bool {
        self.inputs.contains(&input)
    }

    /// Checks that the body carries what its endpoint reads.
    ///
    /// # Errors
    /// [`BadRequest`] when the input is missing, or chat's `messages` is not an array.
    pub fn require_input(&self, endpoint: Endpoint) -> Result<(), BadRequest> {
        let param = endpoint.input_param();
        let inputs = endpoint.traits().inputs;
        if !inputs.is_empty() && !inputs.iter().any(|name| self.has(name)) {
            return Err(BadRequest::Missing { param });
        }
        if inputs == ["messages"] && !self.messages_is_array {
            return Err(BadRequest::WrongType {
                param,
                expected: "an array",
            });
        }
        Ok(())
    }
}

fn string(raw: &RawValue, param: &'static str) -> Result<String, BadRequest> {
    serde_json::from_str(raw.get()).map_err(|_| BadRequest::WrongType {
        param,
        expected: "a string",
    })
}

fn boolean(raw: &RawValue, param: &'static str) -> Result<bool, BadRequest> {
    serde_json::from_str(raw.get()).map_err(|_| BadRequest::WrongType {
        param,
        expected: "a boolean",
    })
}

/// Whole numbers only, spelled as digits: `1e3` is an integer to one parser and a float to the next.
fn count(slot: &Slot<'_>, param: &'static str) -> Result<Option<u64>, BadRequest> {
    slot.given(param)?
        .map(|raw| {
            raw.get().parse::<u64>().map_err(|_| BadRequest::WrongType {
                param,
                expected: "a non-negative integer",
            })
        })
        .transpose()
}

/// Whether the client asked for usage, and what asking for it takes.
fn usage_span(text: &str, options: &Slot<'_>) -> Result<(bool, UsageSpan), BadRequest> {
    const FLAG: &str = "stream_options.include_usage";
    let Some(raw) = options.given("stream_options")? else {
        let span = match options.value {
            Some(null) => UsageSpan::ReplaceOptions(span_in(text, null.get())),
            None => UsageSpan::NoOptions,
        };
        return Ok((false, span));
    };
    let mut flag = Slot::default();
    let mut bare = true;
    walk_object(raw.get(), |member| {
        bare = false;
        if member.name == "include_usage" {
            flag.set(member.value);
        }
    })
    .map_err(|_| BadRequest::WrongType {
        param: "stream_options",
        expected: "an object",
    })?;
    let asked = flag
        .given(FLAG)?
        .map(|value| boolean(value, FLAG))
        .transpose()?
        .unwrap_or(false);
    let span = match flag.value {
        Some(_) if asked => UsageSpan::Asked,
        Some(value) => UsageSpan::ReplaceFlag(span_in(text, value.get())),
        None => UsageSpan::InsertFlag {
            at: span_in(text, raw.get()).start.saturating_add(1),
            bare,
        },
    };
    Ok((asked, span))
}
