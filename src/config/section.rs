//! How tables are read: every key on its own, so that one mistake does not hide the next.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::COMMAND_NAMES;
use super::problem::{Problems, suggestion};
use super::source::join;
use super::value::Scalar;
use crate::domain::{EventKind, ServerTag};

/// Something that can stand behind a key: a value, a list or a table.
pub(super) trait Key: Sized {
    /// What operators are told to write.
    const EXPECTED: &'static str;

    /// Reads what stands at `path`. `None` means that a problem was added.
    fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self>;

    /// Lists the keys at and below `path`, for the tests that hold the example file to the code.
    #[cfg(test)]
    fn list(path: &str, need: Need, out: &mut Vec<(String, Need)>) {
        out.push((path.to_owned(), need));
    }
}

/// Whether a key must be given.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    /// The default, as TOML.
    Default(&'static str),
}

impl<T: Scalar> Key for T {
    const EXPECTED: &'static str = <T as Scalar>::EXPECTED;

    fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self> {
        let parsed = T::parse(value);
        // An empty value has been complained of where it was emptied.
        if parsed.is_none() && !matches!(value, Value::Empty(..)) {
            problems.add_mismatch(path, <T as Scalar>::EXPECTED, value, T::SECRET);
        }
        parsed
    }
}

impl<T: Key> Key for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self> {
        let Some(elements) = value.as_array() else {
            problems.add_mismatch(path, Self::EXPECTED, value, false);
            return None;
        };
        // All elements are read, also behind a bad one.
        let read = elements.iter().enumerate().map(|(i, element)| T::read(&format!("{path}[{i}]"), element, problems));
        read.collect::<Vec<_>>().into_iter().collect()
    }

    #[cfg(test)]
    fn list(path: &str, need: Need, out: &mut Vec<(String, Need)>) {
        let mut below = Vec::new();
        T::list(path, need.clone(), &mut below);
        out.append(&mut below);
    }
}

/// A table's name that operators choose.
pub(super) trait Name: Sized + Ord {
    /// What stands for it in documentation.
    #[cfg(test)]
    const PLACEHOLDER: &'static str;

    /// The name, or what is wrong with it and what to do.
    fn parse(text: &str) -> Result<Self, (String, String)>;
}

impl Name for ServerTag {
    #[cfg(test)]
    const PLACEHOLDER: &'static str = "TAG";

    fn parse(text: &str) -> Result<Self, (String, String)> {
        let hint = "`name = \"...\"` may be any text";
        Self::new(text).map_err(|error| (error.to_string(), hint.to_owned()))
    }
}

impl Name for EventKind {
    #[cfg(test)]
    const PLACEHOLDER: &'static str = "KIND";

    fn parse(text: &str) -> Result<Self, (String, String)> {
        let keys: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
        Self::from_key(text).ok_or_else(|| ("unknown event".to_owned(), suggestion(text, &keys)))
    }
}

/// The name of a slash command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CommandName(pub String);

impl Name for CommandName {
    #[cfg(test)]
    const PLACEHOLDER: &'static str = "COMMAND";

    fn parse(text: &str) -> Result<Self, (String, String)> {
        let known = COMMAND_NAMES.contains(&text).then(|| Self(text.to_owned()));
        known.ok_or_else(|| ("unknown command".to_owned(), suggestion(text, &COMMAND_NAMES)))
    }
}

impl<N: Name, T: Key> Key for BTreeMap<N, T> {
    const EXPECTED: &'static str = "a table of tables";

    fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self> {
        let Some(tables) = value.as_dict() else {
            problems.add_mismatch(path, Self::EXPECTED, value, false);
            return None;
        };
        let mut out = Self::new();
        for (name, value) in tables {
            let path = join(path, name);
            let name = N::parse(name).map_err(|(message, hint)| problems.add_with_hint(&path, message, hint)).ok();
            if let (Some(name), Some(table)) = (name, T::read(&path, value, problems)) {
                out.insert(name, table);
            }
        }
        Some(out)
    }

    #[cfg(test)]
    fn list(path: &str, need: Need, out: &mut Vec<(String, Need)>) {
        T::list(&join(path, N::PLACEHOLDER), need, out);
    }
}

/// Reads the keys of one table.
pub(super) struct Table<'a, 'p> {
    path: &'a str,
    dict: &'a Dict,
    problems: &'a mut Problems<'p>,
}

impl<'a, 'p> Table<'a, 'p> {
    /// The table at `path`; every key of it that is not among `keys` is refused.
    pub fn open(path: &'a str, value: &'a Value, keys: &[&str], problems: &'a mut Problems<'p>) -> Option<Self> {
        let Some(dict) = value.as_dict() else {
            problems.add_mismatch(path, "a table", value, false);
            return None;
        };
        for key in dict.keys().filter(|key| !keys.contains(&key.as_str())) {
            problems.add_with_hint(&join(path, key), "unknown key", suggestion(key, keys));
        }
        Some(Self { path, dict, problems })
    }

    pub fn optional<T: Key>(&mut self, key: &str) -> Option<T> {
        T::read(&join(self.path, key), self.dict.get(key)?, self.problems)
    }

    /// What `read` makes of what stands behind `key`.
    pub fn by<T>(&mut self, key: &str, read: impl FnOnce(&str, &Value, &mut Problems<'p>) -> Option<T>) -> Option<T> {
        read(&join(self.path, key), self.dict.get(key)?, self.problems)
    }

    pub fn required<T: Key>(&mut self, key: &str) -> Option<T> {
        if !self.dict.contains_key(key) {
            let message = format!("missing: expected {}", T::EXPECTED);
            self.problems.add(&join(self.path, key), message);
        }
        self.optional(key)
    }

    /// A table that counts as empty where it is absent.
    pub fn section<T: Key>(&mut self, key: &str) -> Option<T> {
        let empty = Value::from(Dict::new());
        T::read(&join(self.path, key), self.dict.get(key).unwrap_or(&empty), self.problems)
    }

    pub fn or_default<T: Scalar>(&mut self, key: &str, default: impl Into<Value>) -> T {
        self.optional(key).unwrap_or_else(|| T::parse(&default.into()).expect("a default is of its key's kind"))
    }
}

/// Declares tables. Behind each key stands what comes of its absence: a default, `required`, `optional`, or `section`
/// for a table that may be left out.
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($(#[$key_doc:meta])* $key:ident: $kind:ty = $need:tt;)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name { $($(#[$key_doc])* pub $key: sections!(@field $need $kind),)* }

        impl Key for $name {
            const EXPECTED: &'static str = "a table";

            fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self> {
                let mut table = Table::open(path, value, &[$(stringify!($key)),*], problems)?;
                Some(Self { $($key: sections!(@read table $key $need),)* })
            }

            #[cfg(test)]
            fn list(path: &str, _: Need, out: &mut Vec<(String, Need)>) {
                $(<$kind as Key>::list(&join(path, stringify!($key)), sections!(@need $need), out);)*
            }
        }
    )*};
    (@field required $kind:ty) => { Option<$kind> };
    (@field optional $kind:ty) => { Option<$kind> };
    (@field section $kind:ty) => { Option<$kind> };
    (@field $default:literal $kind:ty) => { $kind };
    (@read $table:ident $key:ident required) => { $table.required(stringify!($key)) };
    (@read $table:ident $key:ident optional) => { $table.optional(stringify!($key)) };
    (@read $table:ident $key:ident section) => { $table.section(stringify!($key)) };
    (@read $table:ident $key:ident $default:literal) => { $table.or_default(stringify!($key), $default) };
    (@need required) => { Need::Required };
    (@need optional) => { Need::Optional };
    (@need section) => { Need::Optional };
    (@need $default:literal) => { Need::Default(stringify!($default)) };
}
pub(super) use sections;
