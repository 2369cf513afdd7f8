// SPDX-License-Identifier: GPL-2.0
//! The bitmap as what is sent to the peer.

use super::{Bitmap, Pages};
use crate::vli::BitSource;

impl<P: Pages> BitSource for Bitmap<P> {
    fn bits(&self) -> u64 {
        self.bits
    }

    fn word(&self, index: u64) -> u64 {
        let mut bytes = [0; 8];
        match self.copy_words(index, &mut bytes) {
            Ok(()) => u64::from_le_bytes(bytes),
            Err(_) => 0,
        }
    }

    fn next_change(&self, from: u64, value: bool) -> u64 {
        let next = if value {
            self.find_next_clear(from)
        } else {
            self.find_next_set(from)
        };
        next.unwrap_or(self.bits)
    }
}
