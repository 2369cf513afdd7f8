// SPDX-License-Identifier: GPL-2.0
//! What an activity log says: the set of extents that were hot when the log was last written.
//!
//! The ring is walked from the oldest to the newest valid update. Each block first sets the slots
//! of its context window, then its updates; what stands in the slots at the end is hot. The order
//! of transaction numbers decides, so blocks from before the last wrap need no extra test. One
//! torn block is what a crash during a transaction leaves behind: no data was written under that
//! transaction, so it may be missing. docs/metadata.md, replay.

use super::al::{is_newer, AlLayout, Transaction, TransactionKind, AL_EXTENTS_MAX};
use super::al::{FREE_EXTENT, FREE_SLOT};
use super::BLOCK_SIZE;

/// Slots that the caller has to lend.
pub const SLOTS: usize = AL_EXTENTS_MAX as usize;

/// What was found in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Valid update transactions; 0: nothing to apply.
    pub updates: u32,
    /// Blocks with a wrong checksum or magic number.
    pub corrupt: u32,
    /// Entries for slots beyond the lent ones; they were skipped.
    pub slots_out_of_range: u32,
}

/// Why a log can't be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The image is smaller than the ring.
    Short,
    /// Not one valid block.
    NoData,
    /// Blocks are missing and no valid update tells what was hot.
    Invalid {
        /// Blocks with a wrong checksum or magic number.
        corrupt: u32,
    },
}

/// Replays the ring in `image`, the blocks in their order on disk, into `slots`.
///
/// Afterwards `slots` holds the extent of each slot, [`FREE_EXTENT`] where there is none;
/// [`hot_extents`] lists them. Lend [`SLOTS`] slots.
///
/// # Errors
///
/// See [`ReplayError`]; all slots are free then.
pub fn replay(image: &[u8], al: AlLayout, slots: &mut [u32]) -> Result<Replay, ReplayError> {
    slots.fill(FREE_EXTENT);
    let count = al.blocks();
    if image.len() / BLOCK_SIZE < usize::try_from(count).unwrap_or(usize::MAX) {
        return Err(ReplayError::Short);
    }
    let survey = Survey::of(image, al);
    let corrupt = count.saturating_sub(survey.valid);
    if survey.valid == 0 {
        return Err(ReplayError::NoData);
    }
    let Some((oldest, newest)) = survey.range else {
        let only_first_bad = corrupt == 1 && !survey.first_valid;
        return if corrupt == 0 || only_first_bad {
            Ok(Replay {
                corrupt,
                ..Replay::default()
            })
        } else {
            Err(ReplayError::Invalid { corrupt })
        };
    };
    let mut outcome = Replay {
        updates: survey.updates,
        corrupt,
        slots_out_of_range: 0,
    };
    let steps = match newest.position.checked_sub(oldest.position) {
        Some(steps) => steps,
        None => count
            .saturating_sub(oldest.position)
            .saturating_add(newest.position),
    };
    for step in 0..=steps {
        let position = oldest
            .position
            .saturating_add(step)
            .checked_rem(count)
            .unwrap_or(0);
        if let Some(transaction) = valid_at(image, al, position) {
            if transaction.kind() == TransactionKind::Update {
                apply(&transaction, slots, &mut outcome);
            }
        }
    }
    Ok(outcome)
}

/// The extents left in `slots` after [`replay`], in order of their slots.
pub fn hot_extents(slots: &[u32]) -> impl Iterator<Item = u32> + '_ {
    slots
        .iter()
        .copied()
        .filter(|extent| *extent != FREE_EXTENT)
}

/// The valid block at a ring position.
#[must_use]
pub fn valid_at(image: &[u8], al: AlLayout, position: u32) -> Option<Transaction<'_>> {
    let block = usize::try_from(al.block_of(position)).ok()?;
    let start = block.checked_mul(BLOCK_SIZE)?;
    Transaction::parse(image.get(start..)?.get(..BLOCK_SIZE)?).ok()
}

/// An update with its place in the ring.
#[derive(Clone, Copy)]
struct Found {
    number: u32,
    position: u32,
}

/// The first look at all blocks.
#[derive(Default)]
struct Survey {
    valid: u32,
    updates: u32,
    first_valid: bool,
    range: Option<(Found, Found)>,
}

impl Survey {
    fn of(image: &[u8], al: AlLayout) -> Self {
        let mut survey = Self::default();
        for position in 0..al.blocks() {
            let Some(transaction) = valid_at(image, al, position) else {
                continue;
            };
            survey.valid = survey.valid.saturating_add(1);
            survey.first_valid |= position == 0;
            if transaction.kind() == TransactionKind::Initialized {
                continue;
            }
            survey.updates = survey.updates.saturating_add(1);
            let found = Found {
                number: transaction.number(),
                position,
            };
            let (mut oldest, mut newest) = survey.range.unwrap_or((found, found));
            if is_newer(oldest.number, found.number) {
                oldest = found;
            }
            if is_newer(found.number, newest.number) {
                newest = found;
            }
            survey.range = Some((oldest, newest));
        }
        survey
    }
}

fn apply(transaction: &Transaction<'_>, slots: &mut [u32], outcome: &mut Replay) {
    let context_size = u32::from(transaction.context_size());
    for (slot, extent) in transaction.context() {
        if extent != FREE_EXTENT || slot < context_size {
            assign(slots, slot, extent, outcome);
        }
    }
    for (index, update) in (0..u16::MAX).zip(transaction.updates()) {
        if index < transaction.update_count() || update.slot != FREE_SLOT {
            assign(slots, u32::from(update.slot), update.extent, outcome);
        }
    }
}

fn assign(slots: &mut [u32], slot: u32, extent: u32, outcome: &mut Replay) {
    match usize::try_from(slot)
        .ok()
        .and_then(|slot| slots.get_mut(slot))
    {
        Some(place) => *place = extent,
        None => outcome.slots_out_of_range = outcome.slots_out_of_range.saturating_add(1),
    }
}

#[cfg(test)]
mod tests;
