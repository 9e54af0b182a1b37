//! Numbers whose meaning another number decides.

/// Declares an enum of open enums: which of them a number is of, an enum that goes with it decides. Each line: the
/// variant, its open enum, and the constant of the deciding enum that it goes with.
macro_rules! by_kind {
    (
        $(#[$meta:meta])*
        pub enum $name:ident by $kind:ident {
            $($(#[$variant_meta:meta])* $variant:ident($number:ident) for $constant:ident;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant($number),)+
            #[doc = concat!("The number that came with a [`", stringify!($kind), "`] that is not known.")]
            Other(i32),
        }

        impl $name {
            #[doc = concat!("What the number that came with this [`", stringify!($kind), "`] means.")]
            #[must_use]
            pub fn new(kind: $kind, code: i32) -> Self {
                match kind {
                    $($kind::$constant => Self::$variant($number(code)),)+
                    _ => Self::Other(code),
                }
            }

            /// Its number.
            #[must_use]
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$variant(number) => number.0,)+
                    Self::Other(code) => code,
                }
            }
        }

        /// Its name, or its number.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant(number) => number.fmt(f),)+
                    Self::Other(code) => code.fmt(f),
                }
            }
        }
    };
}

pub(crate) use by_kind;
