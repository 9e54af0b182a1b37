//! Bit flags of a call, an answer or an event.

/// Declares bit flags by the `bitflags` crate. Each line: the flag's name, its bits, the name in C, and the
/// version that it appeared in where that is known. Names for no bits at all stand apart: they become constants
/// that are not flags.
macro_rules! bit_flags {
    (
        $(#[$meta:meta])* pub struct $name:ident {
            $($flag:ident = $bits:literal, $c_name:literal $(, $since:literal)?;)*
        }
        $(none { $($none:ident, $none_c_name:literal $(, $none_since:literal)?;)* })?
    ) => {
        bitflags::bitflags! {
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
            pub struct $name: u32 {
                $(
                    #[doc = concat!("`", $c_name, "`" $(, ", since libvirt ", $since)?, ".")]
                    #[doc(alias = $c_name)]
                    const $flag = $bits;
                )*
            }
        }

        $(impl $name {
            $(
                #[doc = concat!("`", $none_c_name, "`" $(, ", since libvirt ", $none_since)?, ": no bits.")]
                #[doc(alias = $none_c_name)]
                pub const $none: Self = Self::empty();
            )*
        })?

        /// Keeps bits that are not known.
        impl From<u32> for $name {
            fn from(bits: u32) -> Self {
                Self::from_bits_retain(bits)
            }
        }

        impl From<$name> for u32 {
            fn from(flags: $name) -> Self {
                flags.bits()
            }
        }

        impl From<$name> for u64 {
            fn from(flags: $name) -> Self {
                flags.bits().into()
            }
        }
    };
}

pub(crate) use bit_flags;
