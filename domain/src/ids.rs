//! Typed identifiers. They are opaque here: what a well-formed one looks like is the vault's concern.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Wraps an identifier.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// A server or rented GPU.
    InstanceId,
    /// An API key (never its secret).
    KeyId,
    /// A rented machine, as its vendor names it.
    MachineId,
    /// A model as clients name it.
    ModelName,
    /// An organisation.
    OrgId,
    /// One inference request, the same through every retry and hedge.
    RequestId,
}
