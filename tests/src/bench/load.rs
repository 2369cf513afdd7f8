// SPDX-License-Identifier: GPL-2.0
//! What is done to a device, by fio, and what fio says about it.

use std::fmt;

use crate::error::{LabError, Result};
use crate::node::Node;
use crate::time;

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A write of 4 KiB at a random place.
    Write4K,
    /// A read of 4 KiB at a random place.
    Read4K,
    /// A write of 1 MiB, one after the other.
    Write1M,
}

/// A load: operations of one kind, so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What is done.
    pub operation: Operation,
    /// How many at once.
    pub depth: u32,
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many operations.
    Operations(u32),
    /// After so many seconds.
    Seconds(u32),
}

impl Load {
    /// A load.
    #[must_use]
    pub const fn new(operation: Operation, depth: u32) -> Self {
        Self { operation, depth }
    }

    /// The fio command for it; fio answers in JSON.
    fn command(self, device: &str, until: Until) -> String {
        let what = match self.operation {
            Operation::Write4K => "--rw=randwrite --bs=4k",
            Operation::Read4K => "--rw=randread --bs=4k",
            Operation::Write1M => "--rw=write --bs=1m",
        };
        let until = match until {
            // Around as often as it takes.
            Until::Operations(count) => format!("--number_ios={count} --io_size=100g"),
            Until::Seconds(seconds) => format!("--time_based --runtime={seconds}"),
        };
        format!(
            "fio --name=load --filename={device} --ioengine=libaio --direct=1 --thread \
             --iodepth={} {what} {until} --norandommap --randseed=7 --gtod_reduce=1 \
             --output-format=json",
            self.depth
        )
    }

    /// Runs it on a device of a node; gives operations per second of the node's time.
    ///
    /// # Errors
    /// When fio fails, or says what is not understood.
    pub fn run(self, node: &Node, device: &str, until: Until) -> Result<f64> {
        let said = node.sh_within(&self.command(device, until), time::resync())?;
        rate_of(&said, self.operation == Operation::Read4K).ok_or_else(|| {
            LabError::Mismatch(format!(
                "{}: fio's answer has no rate:\n{said}",
                node.name()
            ))
        })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.operation {
            Operation::Write4K => "4 KiB write",
            Operation::Read4K => "4 KiB read",
            Operation::Write1M => "1 MiB write",
        };
        write!(f, "{what}, depth {}", self.depth)
    }
}

/// Operations per second in fio's JSON, of its one job. Lines before the JSON are notes of fio's.
fn rate_of(text: &str, read: bool) -> Option<f64> {
    let json = text.get(text.find('{')?..)?;
    let answer: serde_json::Value = serde_json::from_str(json).ok()?;
    let job = answer.get("jobs")?.get(0)?;
    let side = job.get(if read { "read" } else { "write" })?;
    let rate = side.get("iops")?.as_f64()?;
    (rate > 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_side_that_was_loaded() {
        let text = r#"fio: a note
            { "jobs": [ { "read": { "iops": 0.0 }, "write": { "iops": 23200.5 } } ] }"#;
        assert_eq!(rate_of(text, false), Some(23200.5));
        assert_eq!(rate_of(text, true), None);
        assert_eq!(rate_of("fio: failed", false), None);
    }
}
