//! What a batch of runs has to have met at least once: a property that was never put to the test proves
//! nothing.

use std::collections::BTreeMap;

/// A situation of one world.
pub trait Situation: Copy {
    /// Its name.
    fn name(self) -> &'static str;
}

/// Makes the situations of a world: an enumeration, with all their names in `NAMES`.
macro_rules! situations {
    ($($(#[doc = $doc:literal])* $name:ident),+ $(,)?) => {
        /// A situation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Situation { $($(#[doc = $doc])* $name),+ }

        impl Situation {
            /// The names of all of them.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];
        }

        impl crate::situations::Situation for Situation {
            fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }
        }
    };
}
pub(crate) use situations;

/// How often each was met.
#[derive(Clone, Debug, Default)]
pub struct Situations {
    counts: BTreeMap<&'static str, u64>,
}

impl Situations {
    /// Met once more.
    pub fn met(&mut self, situation: impl Situation) {
        *self.counts.entry(situation.name()).or_default() += 1;
    }

    /// Another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (situation, count) in &other.counts {
            *self.counts.entry(*situation).or_default() += count;
        }
    }

    /// How often.
    pub fn count(&self, situation: &str) -> u64 {
        self.counts.get(situation).copied().unwrap_or(0)
    }

    /// What of these was never met.
    pub fn missing(&self, of: &[&'static str]) -> Vec<&'static str> {
        let never = |situation: &&&str| self.count(situation) == 0;
        of.iter().filter(never).copied().collect()
    }
}
