// SPDX-License-Identifier: GPL-2.0
//! The metadata area of one device: where it is, whether it is valid, how it is written back.

use std::fs::File;

use drbd_core::meta::{AlLayout, Layout, LayoutError, MdIndex, ParseError, Superblock, BLOCK_SIZE};

use super::buffer::AlignedBuf;
use super::cli::{Invocation, Verb};
use super::console::Console;
use super::device::{MdDevice, OpenMode};
use super::environment::{Environment, LastKnown};
use super::error::{os_text, MetaError, Result};

/// Bytes of the smallest device that can hold metadata.
const DEVICE_MIN: u64 = 68 << 10;
/// Sectors of the largest device: 1 PiB.
const DEVICE_MAX: u64 = 1 << 41;

/// Valid metadata and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The superblock.
    pub(crate) superblock: Superblock,
    /// The places it tells.
    pub(crate) layout: Layout,
}

/// What is on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Metadata where it belongs.
    Valid(Found),
    /// Internal metadata where it was before the device grew; holds the old size in sectors.
    Moved(Found, u64),
    /// No metadata of version 08.
    None,
}

/// An open metadata device with its surroundings.
pub(crate) struct Area<'e> {
    /// The device.
    pub(crate) device: MdDevice,
    /// Where metadata belongs.
    pub(crate) index: MdIndex,
    /// What was found there.
    pub(crate) state: State,
    minor: Option<u32>,
    environment: &'e Environment,
    _lock: Option<File>,
}

impl<'e> Area<'e> {
    /// Locks the minor, checks that it is not in use, opens the device and looks at it.
    ///
    /// # Errors
    ///
    /// The minor is locked or attached, or the device can't be used.
    pub(crate) fn open(
        invocation: &Invocation,
        environment: &'e Environment,
        console: &mut Console<'_>,
    ) -> Result<Self> {
        let lock = invocation
            .minor
            .map(|minor| environment.lock(minor))
            .transpose()?;
        if let Some(minor) = invocation
            .minor
            .filter(|minor| (environment.attached)(*minor))
        {
            if !invocation.verb.only_reads() {
                return Err(MetaError::Configured(invocation.device.clone()));
            }
            writeln!(
                console.err,
                "# Output might be stale, since minor {minor} is attached"
            )?;
        }
        let mode = OpenMode {
            exclusive: !matches!(invocation.index, MdIndex::Fixed(_)),
            may_ask: invocation.verb != Verb::ApplyAl,
            plain_files: environment.plain_files || console.force,
            dry_run: invocation.options.dry_run,
        };
        let device = MdDevice::open(&invocation.md_path, mode, console)?;
        let mut area = Self {
            device,
            index: invocation.index,
            state: State::None,
            minor: invocation.minor,
            environment,
            _lock: lock,
        };
        area.check_size()?;
        area.state = area.look(console)?;
        Ok(area)
    }

    fn check_size(&self) -> Result<()> {
        let (path, bytes) = (self.device.path().to_owned(), self.device.bytes());
        if bytes < DEVICE_MIN {
            return Err(MetaError::TooSmall { path, bytes });
        }
        if self.index.is_internal() && self.device.sectors() > DEVICE_MAX {
            return Err(MetaError::TooBig);
        }
        let offset = self.superblock_offset(self.device.sectors());
        if offset.saturating_add(BLOCK_SIZE as u64) > bytes {
            return Err(MetaError::BeyondEnd {
                offset: offset.into(),
                path,
                bytes,
            });
        }
        Ok(())
    }

    /// Byte offset of the superblock if the device has `sectors`.
    fn superblock_offset(&self, sectors: u64) -> u64 {
        self.index
            .superblock_sector(sectors)
            .unwrap_or(0)
            .saturating_mul(512)
    }

    /// Byte offset of the superblock now.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.superblock_offset(self.device.sectors())
    }

    /// The layout that metadata with this log gets on the device.
    ///
    /// # Errors
    ///
    /// The device is too small or too big for it.
    pub(crate) fn layout(&self, al: AlLayout) -> Result<Layout> {
        Layout::compute(self.index, self.device.sectors(), al).map_err(|error| match error {
            LayoutError::TooBig => MetaError::TooBig,
            LayoutError::TooSmall => MetaError::TooSmall {
                path: self.device.path().to_owned(),
                bytes: self.device.bytes(),
            },
            LayoutError::AlInFixedArea => MetaError::BadOption(
                "A fixed size area has room for the default activity log only".to_owned(),
            ),
        })
    }

    /// The metadata, if it is where it belongs.
    ///
    /// # Errors
    ///
    /// It is not; `said` chooses whether the error has a text.
    pub(crate) fn valid(&self, said: bool) -> Result<Found> {
        match self.state {
            State::Valid(found) => Ok(found),
            State::Moved(..) | State::None => Err(MetaError::NoMetadata { said }),
        }
    }

    fn look(&self, console: &mut Console<'_>) -> Result<State> {
        if let Some(found) = self.look_at(self.device.sectors(), console)? {
            return Ok(State::Valid(found));
        }
        if self.index.is_internal() {
            return self.look_at_last_known(console);
        }
        Ok(State::None)
    }

    /// The superblock where it would be on a device of `sectors`, if it fits that size.
    fn look_at(&self, sectors: u64, console: &mut Console<'_>) -> Result<Option<Found>> {
        let block = self
            .device
            .read(self.superblock_offset(sectors), BLOCK_SIZE)?;
        let mut superblock = match Superblock::parse(&block) {
            Ok(superblock) => superblock,
            Err(ParseError::Version07 | ParseError::Version09 | ParseError::NoMagic(_)) => {
                console.remark(format_args!("v08 Magic number not found"))?;
                return Ok(None);
            }
            Err(ParseError::Short) => return Ok(None),
        };
        let layout = superblock
            .al_layout()
            .ok()
            .and_then(|al| Layout::compute(self.index, sectors, al).ok());
        let Some(layout) = layout else {
            console.remark(format_args!("strange activity log"))?;
            return Ok(None);
        };
        for (name, expected, found) in [
            (
                "al_offset",
                i64::from(layout.al_offset()),
                i64::from(superblock.al_offset),
            ),
            (
                "bm_offset",
                i64::from(layout.bm_offset()),
                i64::from(superblock.bm_offset),
            ),
        ] {
            if expected != found {
                console.remark(format_args!(
                    "strange {name} {found} (expected: {expected})"
                ))?;
                return Ok(None);
            }
        }
        if self.index.is_internal() && layout.md_size_sect() != superblock.md_size_sect {
            let (found, expected) = (superblock.md_size_sect, layout.md_size_sect());
            console.remark(format_args!(
                "strange md_size_sect {found} (expected: {expected})"
            ))?;
            return Ok(None);
        }
        // Metadata from before 8.4 leaves the shape open; it is written out from now on.
        superblock.al_stripes = layout.al().stripes();
        superblock.al_stripe_size_4k = layout.al().stripe_size_4k();
        Ok(Some(Found { superblock, layout }))
    }

    /// Looks where the superblock was when the device had the size that was last written down.
    fn look_at_last_known(&self, console: &mut Console<'_>) -> Result<State> {
        let Some(known) = self.last_known(console)? else {
            console.remark(format_args!("no last-known offset information available."))?;
            return Ok(State::None);
        };
        let path = self.device.path().display();
        console.remark(format_args!(
            " last known info: {} {}",
            known.bytes,
            known.path.as_deref().unwrap_or("-unknown device name-")
        ))?;
        if known.bytes == self.device.bytes() {
            return Ok(State::None);
        }
        let sectors = known.bytes / 512;
        let offset = self.superblock_offset(sectors);
        console.remark(format_args!(
            "The meta data of {path} was at byte offset {offset} when last seen."
        ))?;
        if known.bytes > self.device.bytes() || known.bytes < DEVICE_MIN {
            console.remark(format_args!("Device is too small now!"))?;
            return Ok(State::None);
        }
        let Some(found) = self.look_at(sectors, console)? else {
            return Ok(State::None);
        };
        let uuid = found.superblock.device_uuid;
        if let Some(expected) = known.uuid.filter(|expected| *expected != uuid) {
            writeln!(console.err, "Last known and found uuid differ!?")?;
            writeln!(console.err, "{expected:016X} != {uuid:016X}")?;
            if !console.force {
                writeln!(console.err, "You may --force me to ignore that.")?;
                return Ok(State::None);
            }
            writeln!(console.err, "You --force'ed me to ignore that.")?;
        }
        Ok(State::Moved(found, sectors))
    }

    /// What is written down about the device of this minor.
    ///
    /// # Errors
    ///
    /// Only those of the console: a file that can't be read is told, not fatal.
    pub(crate) fn last_known(&self, console: &mut Console<'_>) -> Result<Option<LastKnown>> {
        let Some(minor) = self.minor else {
            return Ok(None);
        };
        let path = self.environment.last_known_path(minor);
        let name = path.display();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let known = LastKnown::parse(&text);
                if known.is_none() {
                    writeln!(console.err, "lk_bdev_load({name}): parse error")?;
                }
                Ok(known)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                writeln!(
                    console.err,
                    "lk_bdev_load({name}) failed: {}",
                    os_text(&error)
                )?;
                Ok(None)
            }
        }
    }

    /// Writes the superblock, makes everything durable and remembers the size of the device.
    ///
    /// # Errors
    ///
    /// The device has an error.
    pub(crate) fn write_superblock(
        &mut self,
        superblock: &Superblock,
        console: &mut Console<'_>,
    ) -> Result<()> {
        // What the superblock vouches for must be there before it.
        self.device.sync()?;
        let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
        superblock.emit(&mut block).map_err(|_| MetaError::TooBig)?;
        self.device.write(self.offset(), &block)?;
        self.device.sync()?;
        self.remember(Some(superblock), console)
    }

    /// Brings the note about the last known device up to date; `None` if no metadata is left.
    ///
    /// # Errors
    ///
    /// Only those of the console: a note that can't be written is told, not fatal.
    pub(crate) fn remember(
        &self,
        superblock: Option<&Superblock>,
        console: &mut Console<'_>,
    ) -> Result<()> {
        let minor = self.minor.filter(|_| !self.device.is_dry());
        let Some(minor) = minor else {
            return Ok(());
        };
        let path = self.environment.last_known_path(minor);
        let name = path.display();
        match superblock.filter(|_| self.index.is_internal()) {
            Some(superblock) => {
                let known = LastKnown {
                    bytes: self.device.bytes(),
                    path: Some(self.device.path().display().to_string()),
                    uuid: Some(superblock.device_uuid).filter(|uuid| *uuid != 0),
                };
                if let Err(error) = known.save(&path) {
                    writeln!(
                        console.err,
                        "lk_bdev_save({name}) failed: {}",
                        os_text(&error)
                    )?;
                }
            }
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    writeln!(
                        console.err,
                        "lk_bdev_delete({name}) failed: {}",
                        os_text(&error)
                    )?;
                }
                _ => {}
            },
        }
        Ok(())
    }
}
