// SPDX-License-Identifier: GPL-2.0
//! What host and agent say to each other over the virtio serial port.
//!
//! A frame is two little-endian 32-bit lengths, a JSON header of the first length and raw bytes of
//! the second: numbers and names travel as JSON, file contents and output as they are. Each call
//! carries an id chosen by the host; all frames of its answer carry the same id, so several calls
//! can be under way at once.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest header, in bytes. A longer one means that the two sides lost step.
const HEADER_BYTES_MAX: u32 = 1 << 20;
/// The longest payload of one frame, in bytes.
pub const DATA_BYTES_MAX: u32 = 4 << 20;
/// The name of the port, as QEMU gives it and the guest finds it.
pub const PORT_NAME: &str = "drbd.lab.agent";

/// A call from the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the host, unique within one boot.
    pub id: u64,
    /// What to do.
    pub request: Request,
}

/// What the host asks for. Payloads are named where they exist.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Runs a program; the payload is its standard input. Answers: `Out`, `Err`, one `Exit`.
    Run {
        /// Program and arguments; the program is looked up in `PATH`.
        argv: Vec<String>,
        /// Added to the agent's own environment.
        env: Vec<(String, String)>,
        /// Keeps its standard input open for `Input`; otherwise that ends with the payload.
        interactive: bool,
    },
    /// The payload is more standard input for call `target`. Answer: `Done`.
    Input {
        /// The id of the interactive `Run` call.
        target: u64,
    },
    /// Kills the process group that call `target` started. Answer: `Done`.
    Kill {
        /// The id of the `Run` call.
        target: u64,
    },
    /// Writes the payload to a file. Answer: `Done`.
    Put {
        /// Where; missing parent folders are made.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Adds to the file instead of replacing it.
        append: bool,
    },
    /// Reads a file. Answers: any number of `Out`, then `Done`.
    Get {
        /// Which file.
        path: String,
    },
    /// Reads a file again and again until `pattern` matches its text.
    /// Answer: `Matched` or `TimedOut`, the payload being the last text read.
    WaitFile {
        /// Which file; one that can't be read counts as empty.
        path: String,
        /// A regular expression; `^` and `$` match at lines.
        pattern: String,
        /// How long to try, in milliseconds.
        timeout_ms: u64,
    },
}

/// A frame from the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The id of the call; 0 in the greeting.
    pub id: u64,
    /// What there is to say.
    pub reply: Reply,
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The guest is up.
    Hello {
        /// `uname -r`.
        kernel: String,
    },
    /// The payload is standard output, or a part of a file.
    Out,
    /// The payload is standard error.
    Err,
    /// The program ended; 128 plus the signal if one ended it.
    Exit {
        /// The exit code.
        code: i32,
    },
    /// The request was carried out.
    Done,
    /// The file's text matched.
    Matched,
    /// The file's text did not match in time.
    TimedOut,
    /// The request could not be carried out.
    Failed {
        /// Why.
        message: String,
    },
}

/// Writes one frame and flushes it.
///
/// # Errors
/// Those of `to`; `InvalidInput` when the payload is longer than [`DATA_BYTES_MAX`].
pub fn send<T: Serialize>(to: &mut impl Write, header: &T, data: &[u8]) -> io::Result<()> {
    let json = serde_json::to_vec(header)?;
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let json_bytes = u32::try_from(json.len()).map_err(too_long)?;
    let data_bytes = u32::try_from(data.len()).map_err(too_long)?;
    if json_bytes > HEADER_BYTES_MAX || data_bytes > DATA_BYTES_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // One write per frame: each costs the guest a notification of the host.
    let mut frame = Vec::with_capacity(8 + json.len() + data.len());
    frame.extend_from_slice(&json_bytes.to_le_bytes());
    frame.extend_from_slice(&data_bytes.to_le_bytes());
    frame.extend_from_slice(&json);
    frame.extend_from_slice(data);
    to.write_all(&frame)?;
    to.flush()
}

/// Reads one frame.
///
/// # Errors
/// Those of `from`; `InvalidData` when a length is impossible or the header is not what `T` says.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<(T, Vec<u8>)> {
    let mut word = [0u8; 4];
    from.read_exact(&mut word)?;
    let json_bytes = u32::from_le_bytes(word);
    from.read_exact(&mut word)?;
    let data_bytes = u32::from_le_bytes(word);
    if json_bytes > HEADER_BYTES_MAX || data_bytes > DATA_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; json_bytes as usize];
    from.read_exact(&mut json)?;
    let mut data = vec![0; data_bytes as usize];
    from.read_exact(&mut data)?;
    Ok((serde_json::from_slice(&json)?, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_line() {
        let call = Call {
            id: 7,
            request: Request::Run {
                argv: vec!["cat".into()],
                env: vec![],
                interactive: false,
            },
        };
        let mut line = Vec::new();
        send(&mut line, &call, b"abc\0\xff").unwrap();
        send(
            &mut line,
            &Answer {
                id: 7,
                reply: Reply::Exit { code: 3 },
            },
            b"",
        )
        .unwrap();
        let mut from = line.as_slice();
        let (back, data) = receive::<Call>(&mut from).unwrap();
        assert_eq!(back.id, 7);
        assert_eq!(data, b"abc\0\xff");
        let (answer, data) = receive::<Answer>(&mut from).unwrap();
        assert_eq!(answer.reply, Reply::Exit { code: 3 });
        assert!(data.is_empty() && from.is_empty());
    }

    #[test]
    fn an_impossible_length_is_refused() {
        let mut line: &[u8] = &[0xff; 16];
        let error = receive::<Call>(&mut line).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(send(&mut Vec::new(), &0u8, &vec![0; DATA_BYTES_MAX as usize + 1]).is_err());
    }
}
