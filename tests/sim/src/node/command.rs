// SPDX-License-Identifier: GPL-2.0
//! The administrator of a node: one command at a time, as kernel/genl does them.

use super::{Backing, Node};
use crate::shared::{Actor, Shared};
use drbd_core::meta::{MdIndex, Superblock};
use drbd_core::peer::{settings, Command, DiskData, Event, Setting};
use drbd_core::state::{Disk, Fencing};
use std::collections::VecDeque;

/// Commands and their answers.
#[derive(Debug, Default)]
pub(crate) struct Admin {
    /// Asked for and not begun.
    pub(crate) queue: VecDeque<Command>,
    /// Under way.
    pub(crate) running: Option<Command>,
    /// The answer of the machine.
    pub(crate) answer: Option<i32>,
    /// Answers to commands, for those who want to know.
    pub(crate) answered: u64,
}

impl Node {
    /// Gives the administrator something to do.
    pub(crate) fn command(&mut self, command: Command, s: &mut Shared) {
        self.admin.queue.push_back(command);
        self.wake(Actor::Admin, s);
    }

    /// No command waits or runs.
    pub(crate) fn admin_is_idle(&self) -> bool {
        self.admin.queue.is_empty() && self.admin.running.is_none()
    }

    /// The administrator's turn.
    pub(crate) fn run_admin(&mut self, s: &mut Shared) {
        let id = self.id;
        if let Some(command) = self.admin.running {
            let Some(code) = self.admin.answer.take() else {
                return;
            };
            s.say(|| format!("{id} answer {code}"));
            self.admin.running = None;
            self.admin.answered += 1;
            match command {
                Command::AttachBegin(vnr) if code == 101 => {
                    self.attach(vnr, s);
                    return;
                }
                Command::Attach(vnr, _) if code != 101 => self.device(vnr).local = None,
                Command::Secondary(vnr) => self.device(vnr).demoting = false,
                _ => {}
            }
        }
        let Some(command) = self.admin.queue.pop_front() else {
            return;
        };
        match command {
            Command::Connect { .. } => {
                self.r.set(Setting::Net(settings::net_settings(&self.net)));
            }
            // Nobody may open it between the look at the open count and the change.
            Command::Secondary(vnr) => self.device(vnr).demoting = true,
            Command::AttachBegin(vnr) if self.state(vnr).disk > Disk::Diskless => {
                self.wake(Actor::Admin, s);
                return;
            }
            _ => {}
        }
        self.begin_command(command, s);
    }

    fn begin_command(&mut self, command: Command, s: &mut Shared) {
        s.count("command");
        self.admin.running = Some(command);
        self.admin.answer = None;
        self.feed(Event::Admin(command), Some(Actor::Admin), s);
    }

    /// The second half of an attach: the metadata is read.
    fn attach(&mut self, vnr: u16, s: &mut Shared) {
        let disk = &mut s.disks[self.id][usize::from(vnr)];
        disk.apply_log();
        let block = disk.meta(disk.layout().superblock_sector(), 4096);
        let attached = Superblock::attach(block, MdIndex::FlexInternal, disk.capacity());
        let Ok((superblock, layout)) = attached else {
            let id = self.id;
            s.fail("I38", || {
                format!("node {id}: a superblock of ours is refused: {attached:?}")
            });
            return;
        };
        let usable = layout.usable_sectors(disk.capacity()).min(disk.sectors());
        let data = DiskData {
            superblock,
            usable,
            room: None,
            user_size: s.setup.blocks[usize::from(vnr)] * 8,
            fencing: Fencing::DontCare,
            max_bio_size: 1 << 20,
            dirty: false,
            // The performer writes no log, so a crash syncs fully.
            al_updates: false,
        };
        self.device(vnr).local = Some(Backing { layout });
        self.begin_command(Command::Attach(vnr, data), s);
    }
}
