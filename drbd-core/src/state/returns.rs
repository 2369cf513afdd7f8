// SPDX-License-Identifier: GPL-2.0
//! Results of state changes: the SS codes with their numbers and texts.
//!
//! The numbers go to user space as `ret_code` and to the peer in P_STATE_CHG_REPLY; the texts go
//! to the kernel log and are what `drbdsetup` prints (docs/interface.md, "SS codes").

use core::fmt;

/// Why a state change was accepted. Success is any number from 1 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum Success {
    /// The change was made (`SS_SUCCESS`).
    Done = 1,
    /// Nothing changes (`SS_NOTHING_TO_DO`).
    NothingToDo = 2,
    /// The peer agreed (`SS_CW_SUCCESS`); internal.
    PeerAgreed = 3,
    /// The peer need not be asked any more (`SS_CW_NO_NEED`); internal.
    NoNeedToAsk = 4,
}

impl Success {
    /// All values, ascending.
    pub const ALL: &'static [Success] = &[
        Success::Done,
        Success::NothingToDo,
        Success::PeerAgreed,
        Success::NoNeedToAsk,
    ];

    /// The number that user space and the peer get.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }
}

/// Defines [`Refusal`] from one table of number, C name and text.
macro_rules! refusals {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $c_name:literal, $text:literal;)*) => {
        /// Why a state change was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Refusal {
            $(
                $(#[$meta])*
                #[doc = concat!("\n\n`", $c_name, "`")]
                $variant = $code,
            )*
        }

        impl Refusal {
            /// All refusals, in descending order of code.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$variant,)*];

            /// The sentence that the log and `drbdsetup` show.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Refusal::$variant => $text,)*
                }
            }

            /// The name of the code in DRBD's interface.
            #[must_use]
            pub const fn c_name(self) -> &'static str {
                match self {
                    $(Refusal::$variant => $c_name,)*
                }
            }
        }
    };
}

refusals! {
    /// No statement yet: go on waiting. Never shown to a user as a result.
    Unknown = 0, "SS_UNKNOWN_ERROR", "unknown error.";
    /// The configuration forbids two Primaries.
    TwoPrimaries = -1, "SS_TWO_PRIMARIES", "Multiple primaries not allowed by config";
    /// No UpToDate data can be reached.
    NoUpToDateDisk = -2, "SS_NO_UP_TO_DATE_DISK", "Need access to UpToDate data";
    /// A resync needs a local disk.
    NoLocalDisk = -4, "SS_NO_LOCAL_DISK", "Can not resync without local disk";
    /// A resync needs a disk on the peer.
    NoRemoteDisk = -5, "SS_NO_REMOTE_DISK", "Can not resync without remote disk";
    /// Must not be Outdated while connected.
    ConnectedOutdates = -6, "SS_CONNECTED_OUTDATES", "Refusing to be Outdated while Connected";
    /// Must not be Primary while the peer is not known to be outdated.
    PrimaryNop = -7, "SS_PRIMARY_NOP", "Refusing to be Primary while peer is not outdated";
    /// Verify or resync is already active.
    ResyncRunning = -8, "SS_RESYNC_RUNNING", "Can not start OV/resync since it is already active";
    /// Already StandAlone.
    AlreadyStandAlone = -9, "SS_ALREADY_STANDALONE", "Can not disconnect a StandAlone device";
    /// The peer refused or could not be asked.
    CwFailedByPeer = -10, "SS_CW_FAILED_BY_PEER", "State change was refused by peer node";
    /// Needs a disk.
    IsDiskless = -11, "SS_IS_DISKLESS",
        "Device is diskless, the requested operation requires a disk";
    /// Somebody has the device open.
    DeviceInUse = -12, "SS_DEVICE_IN_USE", "Device is held open by someone";
    /// No network configuration.
    NoNetConfig = -13, "SS_NO_NET_CONFIG", "Have no net/connection configuration";
    /// No verify algorithm configured.
    NoVerifyAlg = -14, "SS_NO_VERIFY_ALG", "Need a verify algorithm to start online verify";
    /// Needs an established connection.
    NeedConnection = -15, "SS_NEED_CONNECTION", "Need a connection to start verify or resync";
    /// The disk state is already below Outdated.
    LowerThanOutdated = -16, "SS_LOWER_THAN_OUTDATED", "Disk state is lower than outdated";
    /// The peer's protocol version is too old.
    NotSupported = -17, "SS_NOT_SUPPORTED", "Peer does not support protocol";
    /// Retry after the next state change.
    InTransientState = -18, "SS_IN_TRANSIENT_STATE",
        "In transient state, retry after next state change";
    /// Both nodes changed state at the same time.
    ConcurrentStChg = -19, "SS_CONCURRENT_ST_CHG",
        "Concurrent state changes detected and aborted";
    /// The peer is Primary on another volume and the configuration forbids it.
    OVolPeerPri = -20, "SS_O_VOL_PEER_PRI", "Other vol primary on peer not allowed by config";
    /// Outdating the peer gracefully needs a connection.
    OutdateWoConn = -21, "SS_OUTDATE_WO_CONN",
        "Need a connection for a graceful disconnect/outdate peer";
}

impl Refusal {
    /// The number that user space and the peer get.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// What a state change ends with.
pub type StateReturn = Result<Success, Refusal>;

/// The number for netlink and P_STATE_CHG_REPLY.
#[must_use]
pub const fn reply_code(result: StateReturn) -> i32 {
    match result {
        Ok(s) => s.code(),
        Err(r) => r.code(),
    }
}

/// What a number from a peer says. A number from 1 up is a success, whatever it names; an
/// unnamed refusal is [`Refusal::CwFailedByPeer`].
pub fn reply_result(code: i32) -> StateReturn {
    if code >= 1 {
        return Ok(Success::ALL
            .iter()
            .copied()
            .find(|s| s.code() == code)
            .unwrap_or(Success::Done));
    }
    Err(Refusal::ALL
        .iter()
        .copied()
        .find(|r| r.code() == code)
        .unwrap_or(Refusal::CwFailedByPeer))
}

/// The text that belongs to an SS number; `None` for a number without one (as -3).
#[must_use]
pub fn code_text(code: i32) -> Option<&'static str> {
    if (1..=4).contains(&code) {
        return Some("success");
    }
    Refusal::ALL
        .iter()
        .find(|r| r.code() == code)
        .map(|r| r.text())
}
