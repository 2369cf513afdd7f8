// SPDX-License-Identifier: GPL-2.0
//! Mutated netlink messages at a live module.
//!
//! A seed decides on all messages before the first is sent. A third of them is aimed at a
//! configured mirror and has a defect for which the message has to be refused, whatever else it
//! says; whoever calls this looks afterwards whether the mirror is as it was. A third plays with a
//! resource that nobody needs, with any defects or none. The rest only asks. Every message has to
//! be answered, with a code or an error that docs/interface.md knows.

mod message;
mod random;
mod socket;

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use drbd_core::genl::{Op, RetCode};

use message::{Aim, Message};
use random::Random;
use socket::{Answer, Socket};

/// SS_IN_TRANSIENT_STATE.
const IN_BETWEEN: Answer = Answer::Code(-18);
/// How long that may last.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many messages.
    pub count: u32,
    /// What decides on them.
    pub seed: u64,
    /// Leaves out what the C driver is known not to survive.
    pub careful: bool,
}

impl Plan {
    /// From words like `count=10000 seed=1 careful`.
    ///
    /// # Errors
    /// When a word is none of these.
    pub fn parse(words: &[String]) -> io::Result<Self> {
        let mut plan = Self {
            count: 10_000,
            seed: 1,
            careful: false,
        };
        for word in words {
            match word.split_once('=') {
                Some(("count", number)) => plan.count = number.parse().map_err(io::Error::other)?,
                Some(("seed", number)) => plan.seed = number.parse().map_err(io::Error::other)?,
                None if word == "careful" => plan.careful = true,
                _ => return Err(io::Error::other(format!("`{word}` is not understood"))),
            }
        }
        Ok(plan)
    }
}

/// Sends all messages; gives a table of what was answered to what.
///
/// # Errors
/// When an answer is missing, is none that is documented, or agrees to what had to be refused.
pub fn run(plan: Plan) -> io::Result<String> {
    let mut random = Random::new(plan.seed);
    let mut socket = Socket::open()?;
    let mut table: BTreeMap<(Aim, u8, String), u32> = BTreeMap::new();
    for number in 0..plan.count {
        let message = Message::draw(&mut random, plan.careful);
        let answer = socket.ask(&message)?;
        judge(&message, answer).map_err(|why| {
            io::Error::other(format!(
                "message {number}: {why}: {answer:?} to {message:x?}"
            ))
        })?;
        *table
            .entry((message.aim, message.command, answer.to_string()))
            .or_default() += 1;
    }
    tidy_up(&mut socket)?;
    let lines = table.iter().map(|((aim, command, answer), times)| {
        let name = Op::from_number(*command).map_or("?".into(), |op| format!("{op:?}"));
        format!("{times:6} {aim:?} {name} {answer}\n")
    });
    Ok(lines.collect())
}

fn judge(message: &Message, answer: Answer) -> Result<(), &'static str> {
    let documented = match answer {
        Answer::Code(code) => (-21..=4).contains(&code) && code != 0 || (101..=170).contains(&code),
        // Malformed, no such operation, no such object (dumps), out of the range of its type.
        Answer::Errno(errno) => [22, 95, 19, 34].contains(&errno),
        Answer::Listed => true,
    };
    if !documented {
        return Err("no documented answer");
    }
    if message.aim == Aim::Mirror && answer.agrees() {
        return Err("should have been refused");
    }
    Ok(())
}

/// Takes down whatever was made beside the mirror.
fn tidy_up(socket: &mut Socket) -> io::Result<()> {
    for name in socket.resources()? {
        if name != message::MIRROR.as_bytes() {
            let start = Instant::now();
            let mut answer = socket.ask(&Message::down(&name))?;
            // A connection that is being made, or given up, is in between: nothing tells of the end
            // of that to who does not listen.
            while answer == IN_BETWEEN && start.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(50));
                answer = socket.ask(&Message::down(&name))?;
            }
            if answer != Answer::Code(RetCode::NO_ERROR.0) {
                return Err(io::Error::other(format!(
                    "{} does not go: {answer}",
                    name.escape_ascii()
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_on_all_messages_and_each_aim_is_met() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..3000)
                .map(|_| Message::draw(&mut random, false))
                .collect::<Vec<_>>()
        };
        let messages = draw(7);
        assert_eq!(messages, draw(7));
        assert_ne!(messages, draw(8));
        for aim in [Aim::Mirror, Aim::Scratch, Aim::Question] {
            let count = messages.iter().filter(|m| m.aim == aim).count();
            assert!(count > 500, "{aim:?}: {count}");
        }
        let operations: std::collections::BTreeSet<u8> =
            messages.iter().map(|message| message.command).collect();
        assert!(Op::ALL.iter().all(|op| operations.contains(&op.number())));
    }

    #[test]
    fn what_is_asked_for_is_understood() {
        let words = ["count=5".to_owned(), "careful".to_owned()];
        let plan = Plan::parse(&words).unwrap();
        assert_eq!((plan.count, plan.careful), (5, true));
        assert!(Plan::parse(&["speed=5".to_owned()]).is_err());
    }
}
