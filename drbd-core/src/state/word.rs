// SPDX-License-Identifier: GPL-2.0
//! The state of one volume, a wanted change of it, and their packed 32-bit form.
//!
//! The packed word is what P_STATE, P_STATE_CHG_REQ and the netlink state sets carry
//! (docs/protocol.md, "State word"). Bit 0 is the least significant one.

use core::fmt;

use super::names::{BadValue, Conn, Disk, Role, CONN_MASK, DISK_MASK, ROLE_MASK};

/// Where a field sits in the packed word.
#[derive(Clone, Copy)]
struct Field {
    shift: u32,
    mask: u32,
}

impl Field {
    const fn new(shift: u32, mask: u8) -> Field {
        Field {
            shift,
            mask: mask as u32,
        }
    }

    /// The field's value in `word`. All fields are narrower than 8 bits.
    const fn get(self, word: u32) -> u8 {
        (word.wrapping_shr(self.shift) & self.mask).to_le_bytes()[0]
    }

    const fn put(self, value: u8) -> u32 {
        ((value as u32) & self.mask).wrapping_shl(self.shift)
    }

    /// Whether a mask word selects this field; a partly selected field is refused.
    fn selected(self, mask_word: u32, what: &'static str) -> Result<bool, BadValue> {
        let m = mask_word.wrapping_shr(self.shift) & self.mask;
        if m == 0 {
            Ok(false)
        } else if m == self.mask {
            Ok(true)
        } else {
            Err(BadValue { what, value: m })
        }
    }
}

const ROLE: Field = Field::new(0, ROLE_MASK);
const PEER: Field = Field::new(2, ROLE_MASK);
const CONN: Field = Field::new(4, CONN_MASK);
const DISK: Field = Field::new(9, DISK_MASK);
const PDSK: Field = Field::new(13, DISK_MASK);
const SUSP: Field = Field::new(17, 1);
const AFTR_ISP: Field = Field::new(18, 1);
const PEER_ISP: Field = Field::new(19, 1);
const USER_ISP: Field = Field::new(20, 1);
const SUSP_NOD: Field = Field::new(21, 1);
const SUSP_FEN: Field = Field::new(22, 1);

/// The state of one volume (`union drbd_state`).
///
/// The three `susp` flags belong to the resource and are the same on all its volumes; they are
/// merged in here so that one value carries everything the rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceState {
    /// Own role.
    pub role: Role,
    /// The peer's role; Unknown unless connected.
    pub peer: Role,
    /// Connection and replication state.
    pub conn: Conn,
    /// Own disk; never DUnknown.
    pub disk: Disk,
    /// The peer's disk.
    pub pdsk: Disk,
    /// I/O suspended by the administrator.
    pub susp: bool,
    /// Resync paused: the device named by `resync-after` syncs first.
    pub aftr_isp: bool,
    /// Resync paused by the peer.
    pub peer_isp: bool,
    /// Resync paused by the administrator.
    pub user_isp: bool,
    /// I/O suspended: no UpToDate data can be reached.
    pub susp_nod: bool,
    /// I/O suspended: the fence-peer handler has not decided yet.
    pub susp_fen: bool,
}

impl DeviceState {
    /// A volume just made: Secondary/Unknown, StandAlone, Diskless/DUnknown, no flag.
    pub const NEW: DeviceState = DeviceState {
        role: Role::Secondary,
        peer: Role::Unknown,
        conn: Conn::StandAlone,
        disk: Disk::Diskless,
        pdsk: Disk::DUnknown,
        susp: false,
        aftr_isp: false,
        peer_isp: false,
        user_isp: false,
        susp_nod: false,
        susp_fen: false,
    };

    /// I/O is suspended for whatever reason.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.susp || self.susp_nod || self.susp_fen
    }

    /// Resync is paused for whatever reason.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.aftr_isp || self.peer_isp || self.user_isp
    }

    /// The packed word.
    #[must_use]
    pub const fn to_word(&self) -> u32 {
        ROLE.put(self.role.value())
            | PEER.put(self.peer.value())
            | CONN.put(self.conn.value())
            | DISK.put(self.disk.value())
            | PDSK.put(self.pdsk.value())
            | SUSP.put(self.susp as u8)
            | AFTR_ISP.put(self.aftr_isp as u8)
            | PEER_ISP.put(self.peer_isp as u8)
            | USER_ISP.put(self.user_isp as u8)
            | SUSP_NOD.put(self.susp_nod as u8)
            | SUSP_FEN.put(self.susp_fen as u8)
    }

    /// Reads a packed word from a peer or from user space. Bits 23 to 31 are ignored.
    ///
    /// # Errors
    ///
    /// A field holds a number without a meaning.
    pub fn from_word(word: u32) -> Result<DeviceState, BadValue> {
        Ok(DeviceState {
            role: Role::try_from(ROLE.get(word))?,
            peer: Role::try_from(PEER.get(word))?,
            conn: Conn::try_from(CONN.get(word))?,
            disk: Disk::try_from(DISK.get(word))?,
            pdsk: Disk::try_from(PDSK.get(word))?,
            susp: SUSP.get(word) != 0,
            aftr_isp: AFTR_ISP.get(word) != 0,
            peer_isp: PEER_ISP.get(word) != 0,
            user_isp: USER_ISP.get(word) != 0,
            susp_nod: SUSP_NOD.get(word) != 0,
            susp_fen: SUSP_FEN.get(word) != 0,
        })
    }

    /// This state with `change` applied; nothing is adjusted or checked.
    #[must_use]
    pub fn with(&self, change: &Change) -> DeviceState {
        DeviceState {
            role: change.role.unwrap_or(self.role),
            peer: change.peer.unwrap_or(self.peer),
            conn: change.conn.unwrap_or(self.conn),
            disk: change.disk.unwrap_or(self.disk),
            pdsk: change.pdsk.unwrap_or(self.pdsk),
            susp: change.susp.unwrap_or(self.susp),
            aftr_isp: change.aftr_isp.unwrap_or(self.aftr_isp),
            peer_isp: change.peer_isp.unwrap_or(self.peer_isp),
            user_isp: change.user_isp.unwrap_or(self.user_isp),
            susp_nod: change.susp_nod.unwrap_or(self.susp_nod),
            susp_fen: change.susp_fen.unwrap_or(self.susp_fen),
        }
    }
}

impl Default for DeviceState {
    fn default() -> Self {
        Self::NEW
    }
}

impl fmt::Display for DeviceState {
    /// `{ cs:… ro:…/… ds:…/… r----- }`, as the kernel log shows a refused change. The flags: `s`
    /// or `r` for I/O suspended or running; `a`, `p`, `u` for what pauses the resync; `F` and `N`
    /// for I/O suspended by fencing and for lack of data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceState {
            role,
            peer,
            conn,
            disk,
            pdsk,
            ..
        } = self;
        let flag = |on: bool, c: char| if on { c } else { '-' };
        write!(
            f,
            "{{ cs:{conn} ro:{role}/{peer} ds:{disk}/{pdsk} {}{}{}{}{}{} }}",
            if self.is_suspended() { 's' } else { 'r' },
            flag(self.aftr_isp, 'a'),
            flag(self.peer_isp, 'p'),
            flag(self.user_isp, 'u'),
            flag(self.susp_fen, 'F'),
            flag(self.susp_nod, 'N'),
        )
    }
}

/// A wanted change: every field that is `Some` is to take that value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Change {
    /// Own role.
    pub role: Option<Role>,
    /// The peer's role.
    pub peer: Option<Role>,
    /// Connection state.
    pub conn: Option<Conn>,
    /// Own disk.
    pub disk: Option<Disk>,
    /// The peer's disk.
    pub pdsk: Option<Disk>,
    /// I/O suspended by the administrator.
    pub susp: Option<bool>,
    /// Resync waits for another device.
    pub aftr_isp: Option<bool>,
    /// Resync paused by the peer.
    pub peer_isp: Option<bool>,
    /// Resync paused by the administrator.
    pub user_isp: Option<bool>,
    /// I/O suspended for lack of data.
    pub susp_nod: Option<bool>,
    /// I/O suspended until the peer is fenced.
    pub susp_fen: Option<bool>,
}

/// A change as mask and value, as P_STATE_CHG_REQ and P_CONN_ST_CHG_REQ carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeWords {
    /// All bits of every field that is to change.
    pub mask: u32,
    /// The wanted values; 0 where the mask is 0.
    pub val: u32,
}

impl Change {
    /// No change at all.
    pub const NONE: Change = Change {
        role: None,
        peer: None,
        conn: None,
        disk: None,
        pdsk: None,
        susp: None,
        aftr_isp: None,
        peer_isp: None,
        user_isp: None,
        susp_nod: None,
        susp_fen: None,
    };

    /// A change of the own role.
    #[must_use]
    pub const fn role(role: Role) -> Change {
        Change {
            role: Some(role),
            ..Change::NONE
        }
    }

    /// A change of the connection state.
    #[must_use]
    pub const fn conn(conn: Conn) -> Change {
        Change {
            conn: Some(conn),
            ..Change::NONE
        }
    }

    /// A change of the own disk.
    #[must_use]
    pub const fn disk(disk: Disk) -> Change {
        Change {
            disk: Some(disk),
            ..Change::NONE
        }
    }

    /// A change of the peer's disk.
    #[must_use]
    pub const fn pdsk(pdsk: Disk) -> Change {
        Change {
            pdsk: Some(pdsk),
            ..Change::NONE
        }
    }

    /// This change, with the own disk changed as well.
    #[must_use]
    pub const fn and_disk(mut self, disk: Disk) -> Change {
        self.disk = Some(disk);
        self
    }

    /// This change, with the peer's disk changed as well.
    #[must_use]
    pub const fn and_pdsk(mut self, pdsk: Disk) -> Change {
        self.pdsk = Some(pdsk);
        self
    }

    /// Every field takes its value from `state`.
    #[must_use]
    pub const fn to_state(state: &DeviceState) -> Change {
        Change {
            role: Some(state.role),
            peer: Some(state.peer),
            conn: Some(state.conn),
            disk: Some(state.disk),
            pdsk: Some(state.pdsk),
            susp: Some(state.susp),
            aftr_isp: Some(state.aftr_isp),
            peer_isp: Some(state.peer_isp),
            user_isp: Some(state.user_isp),
            susp_nod: Some(state.susp_nod),
            susp_fen: Some(state.susp_fen),
        }
    }

    /// Mask and value for the wire.
    #[must_use]
    pub fn to_words(&self) -> ChangeWords {
        let mut w = ChangeWords { mask: 0, val: 0 };
        let mut put = |f: Field, v: Option<u8>| {
            if let Some(v) = v {
                w.mask |= f.mask.wrapping_shl(f.shift);
                w.val |= f.put(v);
            }
        };
        put(ROLE, self.role.map(Role::value));
        put(PEER, self.peer.map(Role::value));
        put(CONN, self.conn.map(Conn::value));
        put(DISK, self.disk.map(Disk::value));
        put(PDSK, self.pdsk.map(Disk::value));
        put(SUSP, self.susp.map(u8::from));
        put(AFTR_ISP, self.aftr_isp.map(u8::from));
        put(PEER_ISP, self.peer_isp.map(u8::from));
        put(USER_ISP, self.user_isp.map(u8::from));
        put(SUSP_NOD, self.susp_nod.map(u8::from));
        put(SUSP_FEN, self.susp_fen.map(u8::from));
        w
    }

    /// Reads mask and value as a peer sends them. Bits 23 to 31 are ignored.
    ///
    /// # Errors
    ///
    /// A field is only partly masked, or holds a number without a meaning.
    pub fn from_words(words: ChangeWords) -> Result<Change, BadValue> {
        let ChangeWords { mask, val } = words;
        let role = |f: Field| -> Result<Option<Role>, BadValue> {
            Ok(if f.selected(mask, "role mask")? {
                Some(Role::try_from(f.get(val))?)
            } else {
                None
            })
        };
        let disk = |f: Field| -> Result<Option<Disk>, BadValue> {
            Ok(if f.selected(mask, "disk state mask")? {
                Some(Disk::try_from(f.get(val))?)
            } else {
                None
            })
        };
        let flag = |f: Field| (f.get(mask) != 0).then_some(f.get(val) != 0);
        Ok(Change {
            role: role(ROLE)?,
            peer: role(PEER)?,
            conn: if CONN.selected(mask, "connection state mask")? {
                Some(Conn::try_from(CONN.get(val))?)
            } else {
                None
            },
            disk: disk(DISK)?,
            pdsk: disk(PDSK)?,
            susp: flag(SUSP),
            aftr_isp: flag(AFTR_ISP),
            peer_isp: flag(PEER_ISP),
            user_isp: flag(USER_ISP),
            susp_nod: flag(SUSP_NOD),
            susp_fen: flag(SUSP_FEN),
        })
    }
}
