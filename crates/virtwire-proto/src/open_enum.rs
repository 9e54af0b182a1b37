//! Enums that grow: a number with names for the values that are known.

/// Declares an open enum: a newtype of `i32` with a named constant for each known value. A value that is not
/// known survives and prints as its number. Each line: the constant's name, the value, the name in C, and the
/// version that it appeared in where that is known.
macro_rules! open_enum {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($constant:ident = $value:literal, $c_name:literal $(, $since:literal)?;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub i32);

        impl $name {
            $(
                #[doc = concat!("`", $c_name, "`" $(, ", since libvirt ", $since)?, ".")]
                #[doc(alias = $c_name)]
                pub const $constant: Self = Self($value);
            )*

            /// The values that are known: the value, its constant's name here, and its name in C.
            const KNOWN: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$constant, stringify!($constant), $c_name)),*];

            /// The values that are known, in ascending order.
            pub fn known() -> impl ExactSizeIterator<Item = Self> + DoubleEndedIterator + Clone {
                Self::KNOWN.iter().map(|(value, _, _)| *value)
            }

            /// The value's name here, where it is known.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                Self::KNOWN.iter().find(|(value, _, _)| *value == self).map(|(_, name, _)| *name)
            }

            /// The value's name in C, where it is known.
            #[must_use]
            pub fn c_name(self) -> Option<&'static str> {
                Self::KNOWN.iter().find(|(value, _, _)| *value == self).map(|(_, _, name)| *name)
            }
        }

        impl From<i32> for $name {
            fn from(value: i32) -> Self {
                Self(value)
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        /// The value's name here, or its number.
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => core::fmt::Display::fmt(&self.0, f),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl $crate::xdr::Xdr for $name {
            const MIN_LEN: usize = 4;
            #[inline]
            fn encode(&self, writer: &mut $crate::xdr::Writer<'_>) -> Result<(), $crate::xdr::EncodeError> {
                self.0.encode(writer)
            }
            #[inline]
            fn decode_into(
                &mut self,
                reader: &mut $crate::xdr::Reader<'_>,
            ) -> Result<(), $crate::xdr::DecodeError> {
                self.0.decode_into(reader)
            }
        }
    };
}

pub(crate) use open_enum;
