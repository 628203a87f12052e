//! What a platform may do to objects and what is between them.

/// Faults, in thousandths of what they can hit unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Messages between objects that never arrive.
    pub message_lost: u32,
    /// Answers that never arrive.
    pub reply_lost: u32,
    /// Outbox deliveries that arrive twice.
    pub delivered_twice: u32,
    /// Messages that take seconds.
    pub message_late: u32,
    /// Turns after which the object leaves memory, with what was not yet on disk.
    pub evicted_in_turn: u32,
    /// Milliseconds between evictions of an object at random; 0 for never.
    pub evict_every_ms: i64,
    /// Longest time until a turn is on disk and its effects are let out.
    pub disk_ms: i64,
    /// Turns in which a statement fails.
    pub store_fails: u32,
    /// Alarms that never ring.
    pub alarm_lost: u32,
    /// Alarms that ring twice.
    pub alarm_twice: u32,
    /// Alarms that ring seconds late.
    pub alarm_late: u32,
    /// Milliseconds between jumps of a clock; 0 for never.
    pub clock_jump_every_ms: i64,
    /// How far it jumps.
    pub clock_jump_ms: i64,
}
