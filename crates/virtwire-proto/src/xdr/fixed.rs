//! Values whose length on the wire does not depend on them, alone or in runs.

use uuid::Uuid;

/// A value of a fixed length, or a tuple of such values: what a [`Writer`](super::Writer) makes room for at once.
///
/// Numbers narrower than a word are extended to one: with their sign, where they have one.
pub trait Fixed: Copy {
    /// Its length on the wire, in bytes: a multiple of 4.
    const LEN: usize;

    /// Writes it into `room`, which is [`LEN`](Self::LEN) bytes long.
    ///
    /// # Panics
    /// If it is not.
    fn write(self, room: &mut [u8]);
}

macro_rules! numbers {
    ($($ty:ty as $wire:ty;)*) => {$(
        impl Fixed for $ty {
            const LEN: usize = size_of::<$wire>();
            #[inline(always)]
            fn write(self, room: &mut [u8]) {
                room.copy_from_slice(&<$wire>::from(self).to_be_bytes());
            }
        }
    )*};
}

numbers! {
    i32 as i32;
    u32 as u32;
    i64 as i64;
    u64 as u64;
    i16 as i32;
    u16 as u32;
    i8 as i32;
    u8 as u32;
    f64 as f64;
}

impl Fixed for Uuid {
    const LEN: usize = 16;
    #[inline(always)]
    fn write(self, room: &mut [u8]) {
        room.copy_from_slice(self.as_bytes());
    }
}

macro_rules! tuples {
    ($($($name:ident $index:tt),*;)*) => {$(
        impl<$($name: Fixed),*> Fixed for ($($name,)*) {
            const LEN: usize = 0 $(+ $name::LEN)*;
            #[inline(always)]
            fn write(self, room: &mut [u8]) {
                $(
                    let (first, room) = room.split_at_mut($name::LEN);
                    self.$index.write(first);
                )*
                debug_assert!(room.is_empty());
            }
        }
    )*};
}

tuples! {
    ;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}
