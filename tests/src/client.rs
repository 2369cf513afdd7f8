// SPDX-License-Identifier: GPL-2.0
//! The host's side of the agent's port: sends calls, hands their answers to whoever waits.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{Context, LabError, Result};
use crate::protocol::{receive, send, Answer, Call, Reply, Request};
use crate::time;

/// One frame of an answer, with its payload.
pub type Frame = (Reply, Vec<u8>);
type Waiting = Arc<Mutex<HashMap<u64, Sender<Frame>>>>;

/// A connection to the agent of one guest.
#[derive(Debug)]
pub struct Client {
    to: Mutex<UnixStream>,
    waiting: Waiting,
    next: AtomicU64,
}

/// Takes a lock whose holder may have panicked: a failed scenario must not fail the next one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Connects and waits for the guest's greeting, that is for the end of its boot.
    ///
    /// # Errors
    /// When the guest ends, or says nothing in time.
    pub fn connect(socket: &Path) -> Result<Self> {
        let mut from = UnixStream::connect(socket).at("connect to", socket)?;
        let to = Mutex::new(from.try_clone().context("agent")?);
        from.set_read_timeout(Some(time::boot())).context("agent")?;
        let (greeting, _) = receive::<Answer>(&mut from).context("waiting for the boot to end")?;
        if !matches!(greeting.reply, Reply::Hello { .. }) {
            return Err(LabError::Setup(format!("no greeting: {greeting:?}")));
        }
        from.set_read_timeout(None).context("agent")?;
        let waiting = Waiting::default();
        let distribute = waiting.clone();
        thread::spawn(move || {
            while let Ok((answer, data)) = receive::<Answer>(&mut from) {
                let last = !matches!(answer.reply, Reply::Out | Reply::Err);
                let mut waiting = locked(&distribute);
                if let Some(to) = waiting.get(&answer.id) {
                    // Nobody listens any more to a call that was given up.
                    let _ = to.send((answer.reply, data));
                }
                if last {
                    waiting.remove(&answer.id);
                }
            }
            // The guest is gone: all that wait learn it by their channel's end.
            locked(&distribute).clear();
        });
        Ok(Self {
            to,
            waiting,
            next: AtomicU64::new(1),
        })
    }

    /// Sends a call; its answer comes on the channel, which closes early if the guest goes away.
    ///
    /// # Errors
    /// When the guest is gone already.
    pub fn call(&self, request: Request, data: &[u8]) -> io::Result<(u64, Receiver<Frame>)> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        locked(&self.waiting).insert(id, sender);
        let sent = send(&mut *locked(&self.to), &Call { id, request }, data);
        if let Err(error) = sent {
            locked(&self.waiting).remove(&id);
            return Err(error);
        }
        Ok((id, receiver))
    }
}
