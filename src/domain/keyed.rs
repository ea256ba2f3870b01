//! Enums whose variants have a key, under which they are configured, stored and counted.

/// Makes an enum with `ALL`, `as_str` and `from_key` out of `Variant = "key"`.
macro_rules! keyed_enum {
    ($(#[$meta:meta])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $key:literal),+ $(,)? }) => {
        $(#[$meta])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant),+
        }

        impl $name {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The key.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $key),+
                }
            }

            /// What has this key.
            #[must_use]
            pub fn from_key(key: &str) -> Option<Self> {
                match key {
                    $($key => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use keyed_enum;
