// SPDX-License-Identifier: GPL-2.0

//! The flight recorder of a resource: the memory of its tape, and the file that shows it,
//! `drbd/resources/NAME/flight-recorder` in debugfs. What is on it is the core's
//! ([`drbd_core::peer::record`]).

use drbd_core::peer::record::{Deck, Tape};
use kernel::debugfs::{BinaryWriter, Dir, File};
use kernel::fs::file::Offset;
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{Arc, Mutex};
use kernel::uaccess::UserSliceWriter;

/// Bytes of a tape.
const TAPE_BYTES: usize = 32 << 10;

/// Memory for a tape.
pub(crate) struct Bytes(KVBox<[u8; TAPE_BYTES]>);

impl Bytes {
    /// Zeros. May sleep.
    fn new() -> Result<Self> {
        Ok(Self(KVBox::zeroed(GFP_KERNEL)?))
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

impl AsMut<[u8]> for Bytes {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut *self.0
    }
}

/// Holds the tape of a resource. Its lock is held for the moment of a record or of a copy, and
/// nothing is taken under it.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Tape<Bytes>>>);

impl Recorder {
    /// An empty tape. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let tape = Tape::new(Bytes::new()?);
        Ok(Self(Arc::pin_init(
            new_mutex!(tape, "drbd_tape"),
            GFP_KERNEL,
        )?))
    }

    /// The tape as it is now. May sleep.
    fn copy(&self) -> Result<Bytes> {
        let mut copy = Bytes::new()?;
        let tape = self.0.lock();
        for (to, from) in copy.as_mut().iter_mut().zip(tape.bytes()) {
            *to = *from;
        }
        Ok(copy)
    }
}

impl Deck for Recorder {
    type Bytes = Bytes;

    fn with<R>(&self, f: impl FnOnce(&mut Tape<Bytes>) -> R) -> R {
        f(&mut self.0.lock())
    }
}

/// What the file shows: a copy of the tape, made when somebody begins to read.
#[pin_data]
pub(crate) struct Content {
    recorder: Recorder,
    #[pin]
    copy: Mutex<Option<Bytes>>,
}

impl BinaryWriter for Content {
    fn write_to_slice(&self, writer: &mut UserSliceWriter, offset: &mut Offset) -> Result<usize> {
        let mut copy = self.copy.lock();
        if *offset == 0 || copy.is_none() {
            *copy = Some(self.recorder.copy()?);
        }
        let Some(bytes) = &*copy else { return Ok(0) };
        let written = writer.write_slice_file(bytes.as_ref(), offset)?;
        if written == 0 {
            // The reader has all of it.
            *copy = None;
        }
        Ok(written)
    }
}

/// The file of one resource. Dropping it removes the file, and waits for readers in it. May sleep.
pub(crate) type Shown = Pin<KBox<File<Content>>>;

/// Where the files are.
pub(crate) struct Recordings(Dir);

impl Recordings {
    /// Makes `drbd/resources` in debugfs. If that fails there are no files, and nobody is told:
    /// debugfs is for looking only.
    pub(crate) fn new() -> Self {
        Self(Dir::new(c"drbd").subdir(c"resources"))
    }

    /// Makes the file of a resource, for root only. May sleep. Fails only for want of memory.
    pub(crate) fn show(&self, name: &CStr, recorder: &Recorder) -> Result<Shown> {
        let recorder = recorder.clone();
        let directory = self.0.subdir(name);
        let content = pin_init!(Content {
            recorder,
            copy <- new_mutex!(None, "drbd_tape_copy"),
        });
        KBox::pin_init(
            directory.read_binary_file(c"flight-recorder", content),
            GFP_KERNEL,
        )
    }
}
