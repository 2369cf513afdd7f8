// SPDX-License-Identifier: GPL-2.0

//! Hashes: the sheet's answers to a challenge, and a payload in pages.

use kernel::prelude::*;

use super::check;
use crate::sys::crypto::Hash;

pub(super) fn hashes() -> Result {
    let challenge: [u8; 64] = core::array::from_fn(|i| i as u8);
    let sha1 = Hash::keyed(c"hmac(sha1)", b"secret")?.of_bytes(&challenge)?;
    check!(sha1.matches(&[
        0xaf, 0xe9, 0x48, 0x5a, 0x34, 0xcf, 0x04, 0xa7, 0x8c, 0x4f, 0x01, 0x01, 0xa2, 0xa0, 0x89,
        0x74, 0xb9, 0x12, 0xde, 0x08,
    ]));
    let sha256 = Hash::keyed(c"hmac(sha256)", b"secret")?.of_bytes(&challenge)?;
    check!(sha256.matches(&[
        0x5f, 0x5d, 0x48, 0x5f, 0x22, 0x28, 0x77, 0x6a, 0xd7, 0x71, 0x0a, 0xa4, 0x7d, 0x15, 0xa4,
        0xd6, 0x17, 0x44, 0xdb, 0xb9, 0xa2, 0xa3, 0xe5, 0x64, 0x7f, 0x5a, 0x1b, 0xbf, 0xcf, 0x80,
        0x15, 0xe1,
    ]));
    // Not a hash, a hash that wants a key, a hash that takes none.
    check!(Hash::new(c"nonsense").is_err());
    check!(Hash::new(c"hmac(sha1)").is_err());
    check!(Hash::keyed(c"sha1", b"secret").is_err());
    Ok(())
}
