// SPDX-License-Identifier: GPL-2.0
//! What changes in a resource without an event: settings, and which volumes there are. The machine
//! decides nothing then; it looks at what is new when the next event comes.

use super::machine::{NetSettings, Resource};
use super::volume::{DiskData, Volume};
use crate::meta::MdFlags;
use crate::state::{Fencing, OnNoData};

/// Something that is different from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The network configuration, of the connection or for the `connect` that comes.
    Net(NetSettings),
    /// `on-no-data-accessible`.
    OnNoData(OnNoData),
    /// `fencing` of a volume's disk.
    Fencing(u16, Fencing),
    /// `al-updates` of a volume's disk; the driver writes the superblock.
    AlUpdates(u16, bool),
    /// `al-extents` of a volume's disk; the driver writes the superblock.
    AlExtents(u16, u16),
    /// The full-sync flag in a volume's superblock, for
    /// [`Effect::SetAllBits`](super::Effect::SetAllBits); the driver writes the superblock.
    FullSync(u16, bool),
}

/// Storage for volumes that can take more of them.
pub trait Shelf: AsRef<[Volume]> + AsMut<[Volume]> {
    /// Inserts a volume at a place. `false`: there is no memory for it.
    #[must_use]
    fn insert(&mut self, at: usize, volume: Volume) -> bool;
    /// Removes the volume at a place.
    fn remove(&mut self, at: usize);
}

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// Takes a setting over. One of a volume or disk that does not exist is dropped.
    pub fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Net(net) => self.net = Some(net),
            Setting::OnNoData(on_no_data) => self.on_no_data = on_no_data,
            Setting::Fencing(vnr, fencing) => self.set_disk(vnr, |d| d.fencing = fencing),
            Setting::AlUpdates(vnr, on) => self.set_disk(vnr, |d| {
                d.al_updates = on;
                d.superblock.flags = d.superblock.flags.set_to(MdFlags::AL_DISABLED, !on);
            }),
            Setting::AlExtents(vnr, slots) => self.set_disk(vnr, |d| {
                d.superblock.al_nr_extents = u32::from(slots);
            }),
            Setting::FullSync(vnr, on) => self.set_disk(vnr, |d| {
                d.superblock.flags = d.superblock.flags.set_to(MdFlags::FULL_SYNC, on);
            }),
        }
    }

    fn set_disk(&mut self, vnr: u16, change: impl FnOnce(&mut DiskData)) {
        let volume = self.volumes.as_mut().iter_mut().find(|v| v.vnr == vnr);
        if let Some(disk) = volume.and_then(|v| v.disk.as_mut()) {
            change(disk);
        }
    }
}

impl<V: Shelf> Resource<V> {
    /// Adds a volume. `false`: there is no memory for it. The caller knows that it is not there.
    #[must_use]
    pub fn add_volume(&mut self, vnr: u16) -> bool {
        let mut volume = Volume::new(vnr);
        volume.state.conn = self.cstate;
        let volumes = self.volumes.as_ref();
        let mut places = (0..volumes.len()).zip(volumes);
        let place = places.find_map(|(place, v)| (v.vnr > vnr).then_some(place));
        let end = volumes.len();
        self.volumes.insert(place.unwrap_or(end), volume)
    }

    /// Removes a volume, if it is there.
    pub fn remove_volume(&mut self, vnr: u16) {
        if let Some(place) = self.index_of(vnr) {
            self.volumes.remove(place);
        }
    }
}
