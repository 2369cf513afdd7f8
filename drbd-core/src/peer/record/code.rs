// SPDX-License-Identifier: GPL-2.0
//! How values stand on a tape: numbers as little-endian base 128, an enum as the number of its
//! variant and then the fields, a structure as its fields.
//!
//! Reading trusts nothing: what is no value is `None`. A value that was read is written as the
//! same value again.

/// Writes values, and sums up what it writes.
#[derive(Debug)]
pub struct Writer<'a> {
    room: &'a mut [u8],
    at: usize,
    fits: bool,
    sum: u64,
}

impl<'a> Writer<'a> {
    /// Writes from the beginning of `room` on. What does not fit is only summed up.
    #[must_use]
    pub fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            at: 0,
            fits: true,
            sum: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// The bytes written, unless they did not fit.
    #[must_use]
    pub const fn written(&self) -> Option<usize> {
        if self.fits {
            Some(self.at)
        } else {
            None
        }
    }

    /// A hash (FNV-1a) of all that was to be written.
    pub(super) const fn sum(&self) -> u64 {
        self.sum
    }

    // Called from hundreds of places, a few times for an event: small counts, not fast.
    #[inline(never)]
    pub(super) fn byte(&mut self, byte: u8) {
        self.sum = (self.sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        match self.room.get_mut(self.at) {
            Some(place) => {
                *place = byte;
                self.at = self.at.saturating_add(1);
            }
            None => self.fits = false,
        }
    }

    /// Seven bits a byte, the lowest first; the high bit says that there are more.
    #[inline(never)]
    pub(super) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            let [low, ..] = number.to_le_bytes();
            self.byte(low | 0x80);
            number >>= 7;
        }
        let [low, ..] = number.to_le_bytes();
        self.byte(low);
    }
}

/// Reads values.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                return None;
            }
            number |= bits << (7 * place);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// A value that can stand on a tape.
///
/// `get` is inlined, so that no code comes of it where nobody reads: in the module.
pub trait Code: Sized {
    /// Writes it.
    fn put(&self, w: &mut Writer<'_>);
    /// Reads one; `None` if there is none.
    fn get(r: &mut Reader<'_>) -> Option<Self>;
}

/// Types that are written as a number.
macro_rules! by_number {
    ($($type:ty: |$value:ident| $to:expr, |$number:ident| $from:expr;)*) => {$(
        impl Code for $type {
            fn put(&self, w: &mut Writer<'_>) {
                let $value = *self;
                w.number($to);
            }

            #[inline]
            fn get(r: &mut Reader<'_>) -> Option<Self> {
                let $number = r.number()?;
                $from
            }
        }
    )*};
}
pub(super) use by_number;

/// A structure is written field by field.
macro_rules! by_fields {
    ($($type:ty { $($field:ident),* $(,)? })*) => {$(
        impl Code for $type {
            fn put(&self, w: &mut Writer<'_>) {
                let Self { $($field),* } = self;
                $($field.put(w);)*
            }

            #[inline]
            fn get(r: &mut Reader<'_>) -> Option<Self> {
                Some(Self { $($field: Code::get(r)?),* })
            }
        }
    )*};
}
pub(super) use by_fields;

/// An enum is written as a number and the fields. The numbers are the format's, so they stay.
macro_rules! by_variant {
    ($($type:ty { $(
        $number:literal $variant:ident
        $(($($element:ident),*))?
        $({ $($field:ident),* })?
    ),* $(,)? })*) => {$(
        impl Code for $type {
            fn put(&self, w: &mut Writer<'_>) {
                match self {$(
                    Self::$variant $(($($element),*))? $({ $($field),* })? => {
                        w.byte($number);
                        $($($element.put(w);)*)?
                        $($($field.put(w);)*)?
                    }
                )*}
            }

            #[inline]
            fn get(r: &mut Reader<'_>) -> Option<Self> {
                Some(match r.byte()? {
                    $($number => {
                        $($(let $element = Code::get(r)?;)*)?
                        $($(let $field = Code::get(r)?;)*)?
                        Self::$variant $(($($element),*))? $({ $($field),* })?
                    })*
                    _ => return None,
                })
            }
        }
    )*};
}
pub(super) use by_variant;

by_number! {
    u8: |n| u64::from(n), |n| u8::try_from(n).ok();
    u16: |n| u64::from(n), |n| u16::try_from(n).ok();
    u32: |n| u64::from(n), |n| u32::try_from(n).ok();
    u64: |n| n, |n| Some(n);
    // Small numbers of either sign are short.
    i32: |n| u64::from(((n << 1) ^ (n >> 31)) as u32), |n| {
        let n = u32::try_from(n).ok()?;
        Some((n >> 1) as i32 ^ ((n & 1) as i32).wrapping_neg())
    };
    bool: |on| u64::from(on), |n| match n {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
}

impl<T: Code> Code for Option<T> {
    fn put(&self, w: &mut Writer<'_>) {
        self.is_some().put(w);
        if let Some(value) = self {
            value.put(w);
        }
    }

    #[inline]
    fn get(r: &mut Reader<'_>) -> Option<Self> {
        Some(if bool::get(r)? {
            Some(T::get(r)?)
        } else {
            None
        })
    }
}

impl<const N: usize> Code for [u64; N] {
    fn put(&self, w: &mut Writer<'_>) {
        for number in self {
            number.put(w);
        }
    }

    #[inline]
    fn get(r: &mut Reader<'_>) -> Option<Self> {
        let mut all = [0; N];
        for number in &mut all {
            *number = u64::get(r)?;
        }
        Some(all)
    }
}
