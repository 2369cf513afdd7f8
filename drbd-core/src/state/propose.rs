// SPDX-License-Identifier: GPL-2.0
//! A wanted change of one volume becomes a transition, or a refusal.

use super::check::{check_soft_step, check_state, check_step};
use super::facts::{Facts, Fencing};
use super::returns::{Refusal, StateReturn, Success};
use super::sanitise::{sanitise, Warning};
use super::word::{Change, DeviceState};

/// How much a change may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A wish: all rules apply.
    Soft,
    /// A fact from outside, such as a lost link (`CS_HARD`): only impossible steps are refused.
    Hard,
}

/// An accepted change of one volume, not yet made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The state it starts from.
    pub old: DeviceState,
    /// The state it leads to, with all that follows from the wish.
    pub new: DeviceState,
    /// What the log should say about the adjustment.
    pub warning: Option<Warning>,
}

impl Transition {
    /// Nothing changes: there is nothing to commit.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.old == self.new
    }

    /// The code to answer with.
    #[must_use]
    pub fn success(&self) -> Success {
        if self.is_noop() {
            Success::NothingToDo
        } else {
            Success::Done
        }
    }
}

/// Says what `change` leads to from `old`, or why not. Nothing is modified.
///
/// The caller holds the resource's state from reading `old` and `facts` until the commit of the
/// transition.
///
/// # Errors
///
/// The refusal to answer with. [`Refusal::InTransientState`] means: again after the next change
/// of state.
///
/// # Examples
///
/// ```
/// use drbd_core::state::{propose, Change, DeviceState, Facts, Mode, Refusal, Role};
///
/// let promote = Change::role(Role::Primary);
/// let result = propose(&Facts::NONE, &DeviceState::NEW, &promote, Mode::Soft);
/// assert_eq!(result, Err(Refusal::NoUpToDateDisk));
/// ```
pub fn propose(
    facts: &Facts,
    old: &DeviceState,
    change: &Change,
    mode: Mode,
) -> Result<Transition, Refusal> {
    let (new, warning) = sanitise(facts, old, old.with(change));
    let transition = Transition {
        old: *old,
        new,
        warning,
    };
    judge(facts, old, &new, mode)?;
    Ok(transition)
}

/// The rules for the step from `old` to the adjusted state `new`.
///
/// # Errors
///
/// As [`propose`].
pub(super) fn judge(
    facts: &Facts,
    old: &DeviceState,
    new: &DeviceState,
    mode: Mode,
) -> Result<(), Refusal> {
    if old == new {
        return Ok(());
    }
    check_step(old, new)?;
    if mode == Mode::Hard {
        return Ok(());
    }
    let fencing: Fencing = facts.fencing_of(old.disk);
    if let Err(refusal) = check_state(facts, fencing, new) {
        // A state that is illegal already may stay illegal in the same way.
        if check_state(facts, fencing, old) != Err(refusal) {
            return Err(refusal);
        }
    }
    check_soft_step(facts, old, new)
}

/// The code that a proposal, when committed, is answered with.
pub fn proposal_result(proposal: &Result<Transition, Refusal>) -> StateReturn {
    proposal.as_ref().map(Transition::success).map_err(|r| *r)
}
