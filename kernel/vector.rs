// SPDX-License-Identifier: GPL-2.0

//! Vectors that grow, and searches in them, without code that could panic.
//!
//! The kernel is built with overflow checks. The `kernel` crate's `reserve` does arithmetic that
//! only its type's invariant keeps in range, so the compiler leaves the checks wherever it is
//! inlined; counting iterators have them, too. Here they are kept in one place
//! (`xtask/panics.allow`), or avoided.

use kernel::alloc::{Allocator, Flags, Vec};
use kernel::prelude::*;

/// Makes room for `additional` elements.
#[inline(never)]
pub(crate) fn reserve<T, A: Allocator>(
    vec: &mut Vec<T, A>,
    additional: usize,
    flags: Flags,
) -> Result {
    Ok(vec.reserve(additional, flags)?)
}

/// Appends an element. Drops it if there is no memory.
pub(crate) fn push<T, A: Allocator>(vec: &mut Vec<T, A>, element: T, flags: Flags) -> Result {
    if vec.len() == vec.capacity() {
        reserve(vec, 1, flags)?;
    }
    vec.push_within_capacity(element).map_err(|_| ENOMEM)
}

/// Removes the elements that are not to be kept.
pub(crate) fn retain<T, A: Allocator>(vec: &mut Vec<T, A>, keep: impl Fn(&T) -> bool) {
    let mut at = 0_usize;
    while let Some(element) = vec.get(at) {
        if keep(element) {
            at = at.wrapping_add(1);
        } else {
            let _ = vec.remove(at);
        }
    }
}

/// The index of the first element for which `wanted` holds.
pub(crate) fn index_of<T>(list: &[T], wanted: impl Fn(&T) -> bool) -> Option<usize> {
    (0..list.len())
        .zip(list)
        .find_map(|(index, element)| wanted(element).then_some(index))
}

/// Where an element belongs in an ascending list: before the first that is not `smaller`.
pub(crate) fn place_of<T>(list: &[T], smaller: impl Fn(&T) -> bool) -> usize {
    index_of(list, |element| !smaller(element)).unwrap_or(list.len())
}
