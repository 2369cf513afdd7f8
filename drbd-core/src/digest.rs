// SPDX-License-Identifier: GPL-2.0
//! The digest of some bytes, which the driver computes and the core compares.

use core::fmt;

/// The largest digest of any algorithm in use, in bytes.
pub const SIZE_MAX: usize = 64;

/// A digest of at most [`SIZE_MAX`] bytes.
///
/// Two are compared in a time that does not tell where they differ: some digests are answers that
/// prove a secret.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; SIZE_MAX],
    size: u8,
}

impl Digest {
    /// The digest with these bytes; `None` if there are none or too many.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let size = u8::try_from(bytes.len()).ok().filter(|size| *size > 0)?;
        let mut kept = [0; SIZE_MAX];
        for (to, from) in kept.get_mut(..bytes.len())?.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(Digest { bytes: kept, size })
    }

    /// `size` zero bytes (1 to [`SIZE_MAX`]): what a node says of a block that it cannot read.
    #[must_use]
    pub fn zeroes(size: u8) -> Option<Self> {
        (1..=SIZE_MAX)
            .contains(&usize::from(size))
            .then_some(Digest {
                bytes: [0; SIZE_MAX],
                size,
            })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.size)).unwrap_or_default()
    }

    /// The same digest.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        let own = self.as_bytes();
        let difference = own
            .iter()
            .zip(other)
            .fold(0, |acc, (a, b)| acc | core::hint::black_box(a ^ b));
        difference == 0 && own.len() == other.len()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.as_bytes())
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    /// Its size alone: the bytes may prove a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.size)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn any_other_bit_or_length_is_another_digest() {
        let bytes: [u8; 20] = core::array::from_fn(|i| i as u8);
        let digest = Digest::new(&bytes).expect("20 bytes");
        assert!(digest.matches(&bytes));
        for bit in 0..160 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!digest.matches(&other), "bit {bit}");
        }
        assert!(!digest.matches(&bytes[..19]));
        assert!(!digest.matches(&[]));
        let mut longer = [0; 21];
        longer[..20].copy_from_slice(&bytes);
        assert!(!digest.matches(&longer));
    }

    #[test]
    fn sizes_are_limited_and_no_bytes_are_shown() {
        assert_eq!(Digest::new(&[]), None);
        assert_eq!(Digest::new(&[0; SIZE_MAX + 1]), None);
        assert_eq!(Digest::zeroes(0), None);
        assert_eq!(Digest::zeroes(65), None);
        assert_eq!(Digest::new(&[0; 64]), Digest::zeroes(64));
        let shown = format!("{:?}", Digest::new(b"secret").expect("6 bytes"));
        assert_eq!(shown, "Digest(6 bytes)");
    }
}
