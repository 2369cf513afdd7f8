// SPDX-License-Identifier: GPL-2.0
//! What an ack of the peer is about: the event of a request, or the news of a block of a resync.

use super::word::Event;
use crate::wire::{AckKind, BlockId};

/// What an ack is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A request of our application, which its handle names.
    Request(Event),
    /// A block of a resync or of a verify, which its range names.
    Block(BlockAnswer),
}

/// What the peer says of a block of a resync or of a verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockAnswer {
    /// To the source: the target has written it.
    Written,
    /// To the source: the target could not write it.
    NotWritten,
    /// To the target or to VerifyS: it could not be read.
    NotRead,
    /// To the target: the question is dropped.
    Dropped,
    /// To the target of a resync by checksums: both are equal.
    Equal,
}

impl Meaning {
    /// What an ack of this kind says that carries this handle. `None`: nothing that we do calls for
    /// it (two Primaries are not built, so nothing of ours can be superseded), and the link is to
    /// be ended.
    #[must_use]
    pub fn of(kind: AckKind, handle: BlockId) -> Option<Self> {
        let syncer = handle == BlockId::SYNCER;
        Some(match kind {
            AckKind::Recv | AckKind::Write | AckKind::RsWrite if syncer => {
                Self::Block(BlockAnswer::Written)
            }
            AckKind::Neg if syncer => Self::Block(BlockAnswer::NotWritten),
            AckKind::NegRsDReply => Self::Block(BlockAnswer::NotRead),
            AckKind::RsCancel => Self::Block(BlockAnswer::Dropped),
            AckKind::RsIsInSync => Self::Block(BlockAnswer::Equal),
            _ if syncer => return None,
            AckKind::Recv => Self::Request(Event::ReceiveAck),
            AckKind::Write => Self::Request(Event::WriteAck { in_sync: false }),
            AckKind::RsWrite => Self::Request(Event::WriteAck { in_sync: true }),
            AckKind::Neg | AckKind::NegDReply => Self::Request(Event::NegAck),
            AckKind::Superseded | AckKind::RetryWrite => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handle_tells_blocks_of_a_resync_from_requests() {
        let ours = BlockId::from_u64(0x1_0000_0001);
        let block = |answer| Some(Meaning::Block(answer));
        for kind in AckKind::ALL {
            let (request, resync) = (Meaning::of(kind, ours), Meaning::of(kind, BlockId::SYNCER));
            match kind {
                AckKind::Recv | AckKind::Write | AckKind::RsWrite => {
                    assert!(matches!(request, Some(Meaning::Request(_))));
                    assert_eq!(resync, block(BlockAnswer::Written));
                }
                AckKind::Neg => {
                    assert_eq!(request, Some(Meaning::Request(Event::NegAck)));
                    assert_eq!(resync, block(BlockAnswer::NotWritten));
                }
                AckKind::NegDReply => {
                    assert_eq!(request, Some(Meaning::Request(Event::NegAck)));
                    assert_eq!(resync, None);
                }
                AckKind::NegRsDReply | AckKind::RsCancel | AckKind::RsIsInSync => {
                    assert!(matches!(request, Some(Meaning::Block(_))));
                    assert_eq!(request, resync);
                }
                AckKind::Superseded | AckKind::RetryWrite => {
                    assert_eq!((request, resync), (None, None));
                }
            }
        }
    }
}
