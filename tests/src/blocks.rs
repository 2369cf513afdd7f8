// SPDX-License-Identifier: GPL-2.0
//! Disks for both machines, served by the lab itself (NBD over a unix socket).
//!
//! One server has the disks of both nodes, so it knows one order of all that they were given: while
//! it records, each write and flush of either disk goes to one list, with the lab's own marks in
//! between. What a loss of power at any point of that list leaves behind is worked out afterwards
//! ([`crash`]). Disks are sparse: a block that was never written is zeros.

pub mod crash;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{Context, Result};

/// The unit in which contents are kept, in bytes.
pub const BLOCK: u64 = 4096;

/// What is on a disk: its blocks that were written, by number.
pub type Content = BTreeMap<u64, Box<[u8; BLOCK as usize]>>;

/// Something that happened to a disk, or that the lab noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A write.
    Write {
        /// The disk: 0 is alpha's, 1 is beta's.
        disk: usize,
        /// Where it begins, in bytes.
        offset: u64,
        /// What was written.
        data: Vec<u8>,
        /// It was to be stable before it was answered.
        fua: bool,
    },
    /// All writes of this disk that came before are stable.
    Flush {
        /// The disk.
        disk: usize,
    },
    /// The lab's own: a block and the number that is in it for good, as the application knows.
    Promise {
        /// The block of the DRBD device.
        block: u64,
        /// The number.
        number: u64,
    },
}

/// What is recorded: the disks at its begin, and all that happened since.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// What was on each disk.
    pub base: Vec<Content>,
    /// What happened, in order.
    pub records: Vec<Record>,
}

#[derive(Debug, Default)]
struct State {
    disks: Vec<Content>,
    recording: Option<Recording>,
}

/// The server; its sockets are served until the program ends.
#[derive(Debug, Clone, Default)]
pub struct DiskServer(Arc<Mutex<State>>);

impl DiskServer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one more disk of `bytes` at `socket`.
    ///
    /// # Errors
    /// When the socket can't be made.
    pub fn serve(&self, socket: &Path, bytes: u64) -> Result<()> {
        let listener = UnixListener::bind(socket).at("listen at", socket)?;
        let mut state = self.state();
        let disk = state.disks.len();
        state.disks.push(Content::new());
        drop(state);
        let server = self.clone();
        thread::spawn(move || {
            // A machine at a time: the next one comes when the first has lost its power.
            for stream in listener.incoming().flatten() {
                // The end of a machine is the end of its connection, however that looks.
                let _ = server.connection(stream, disk, bytes);
            }
        });
        Ok(())
    }

    /// What is on a disk now.
    #[must_use]
    pub fn content(&self, disk: usize) -> Content {
        self.state().disks.get(disk).cloned().unwrap_or_default()
    }

    /// Puts other contents on all disks; their machines have no power.
    pub fn exchange(&self, contents: Vec<Content>) {
        self.state().disks = contents;
    }

    /// Begins to record.
    pub fn record(&self) {
        let mut state = self.state();
        state.recording = Some(Recording {
            base: state.disks.clone(),
            records: Vec::new(),
        });
    }

    /// Notes that the application knows of this number in this block.
    pub fn promise(&self, block: u64, number: u64) {
        self.state().note(|| Record::Promise { block, number });
    }

    /// Ends the recording.
    #[must_use]
    pub fn recorded(&self) -> Recording {
        self.state().recording.take().unwrap_or_default()
    }

    fn connection(&self, mut stream: UnixStream, disk: usize, bytes: u64) -> io::Result<()> {
        if !greet(&mut stream, bytes)? {
            return Ok(());
        }
        loop {
            let magic: [u8; 4] = read(&mut stream)?;
            let flags = u16::from_be_bytes(read(&mut stream)?);
            let command = u16::from_be_bytes(read(&mut stream)?);
            let cookie: [u8; 8] = read(&mut stream)?;
            let offset = u64::from_be_bytes(read(&mut stream)?);
            let length = u32::from_be_bytes(read(&mut stream)?);
            if magic != REQUEST || length > MAX_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let size = length as usize;
            let mut answer = Vec::new();
            match command {
                READ => answer = self.state().read(disk, offset, size),
                WRITE | WRITE_ZEROES => {
                    let mut data = vec![0; size];
                    if command == WRITE {
                        stream.read_exact(&mut data)?;
                    }
                    self.state().write(disk, offset, data, flags & FUA != 0);
                }
                FLUSH => self.state().note(|| Record::Flush { disk }),
                DISCONNECT => return Ok(()),
                _ => {}
            }
            stream.write_all(&REPLY)?;
            stream.write_all(&[0; 4])?;
            stream.write_all(&cookie)?;
            stream.write_all(&answer)?;
        }
    }
}

impl State {
    fn note(&mut self, record: impl FnOnce() -> Record) {
        if let Some(recording) = &mut self.recording {
            recording.records.push(record());
        }
    }

    fn read(&self, disk: usize, offset: u64, size: usize) -> Vec<u8> {
        self.disks
            .get(disk)
            .map_or_else(|| vec![0; size], |disk| bytes_of(disk, offset, size))
    }

    fn write(&mut self, disk: usize, offset: u64, data: Vec<u8>, fua: bool) {
        if let Some(content) = self.disks.get_mut(disk) {
            put(content, offset, &data);
        }
        self.note(|| Record::Write {
            disk,
            offset,
            data,
            fua,
        });
    }
}

/// Reads from contents.
#[must_use]
pub fn bytes_of(content: &Content, offset: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let at = offset + bytes.len() as u64;
        let within = (at % BLOCK) as usize;
        let length = (BLOCK as usize - within).min(size - bytes.len());
        match content.get(&(at / BLOCK)) {
            Some(block) => bytes.extend(block.iter().skip(within).take(length)),
            None => bytes.resize(bytes.len() + length, 0),
        }
    }
    bytes
}

/// Writes to contents.
pub fn put(content: &mut Content, offset: u64, mut data: &[u8]) {
    let mut at = offset;
    while !data.is_empty() {
        let within = (at % BLOCK) as usize;
        let (piece, rest) = data.split_at(data.len().min(BLOCK as usize - within));
        if piece.len() == BLOCK as usize && piece.iter().all(|byte| *byte == 0) {
            content.remove(&(at / BLOCK));
        } else {
            let block = content
                .entry(at / BLOCK)
                .or_insert_with(|| Box::new([0; BLOCK as usize]));
            for (to, from) in block.iter_mut().skip(within).zip(piece) {
                *to = *from;
            }
        }
        at += piece.len() as u64;
        data = rest;
    }
}

// The protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md

const REQUEST: [u8; 4] = 0x2560_9513_u32.to_be_bytes();
const REPLY: [u8; 4] = 0x6744_6698_u32.to_be_bytes();
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const OPTION: u64 = 0x4948_4156_454f_5054;
const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
const WRITE_ZEROES: u16 = 6;
const FUA: u16 = 1;
/// A request is not larger.
const MAX_BYTES: u32 = 64 << 20;
/// The disk has flags, flush, FUA, and zeroes without data.
const DISK_FLAGS: u16 = 1 | 4 | 8 | 64;

fn read<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Agrees about the disk. `false`: the client left.
fn greet(stream: &mut UnixStream, bytes: u64) -> io::Result<bool> {
    const FIXED_NEW_STYLE_NO_ZEROES: [u8; 2] = [0, 3];
    const ABORT: u32 = 2;
    const INFO: u32 = 6;
    const GO: u32 = 7;
    stream.write_all(b"NBDMAGIC")?;
    stream.write_all(&OPTION.to_be_bytes())?;
    stream.write_all(&FIXED_NEW_STYLE_NO_ZEROES)?;
    let _client_flags: [u8; 4] = read(stream)?;
    loop {
        let magic = u64::from_be_bytes(read(stream)?);
        let option = u32::from_be_bytes(read(stream)?);
        let length = u32::from_be_bytes(read(stream)?);
        if magic != OPTION || length > 65536 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload)?;
        let mut reply = |kind: u32, data: &[u8]| -> io::Result<()> {
            let length = u32::try_from(data.len()).unwrap_or(0);
            stream.write_all(&OPTION_REPLY.to_be_bytes())?;
            stream.write_all(&option.to_be_bytes())?;
            stream.write_all(&kind.to_be_bytes())?;
            stream.write_all(&length.to_be_bytes())?;
            stream.write_all(data)
        };
        match option {
            INFO | GO => {
                let mut export = vec![0, 0];
                export.extend(bytes.to_be_bytes());
                export.extend(DISK_FLAGS.to_be_bytes());
                reply(3, &export)?;
                reply(1, &[])?;
                if option == GO {
                    return Ok(true);
                }
            }
            ABORT => {
                reply(1, &[])?;
                return Ok(false);
            }
            // Not supported.
            _ => reply(0x8000_0001, &[])?,
        }
    }
}
