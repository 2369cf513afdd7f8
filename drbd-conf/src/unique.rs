// SPDX-License-Identifier: GPL-2.0
//! Things that may be there only once: addresses, minors, devices, sections.

use crate::span::Span;
use std::collections::hash_map::{Entry, HashMap};

/// All keys claimed so far, and where.
#[derive(Debug, Default)]
pub struct Registry {
    first: HashMap<String, Span>,
}

impl Registry {
    /// Claims `key` for the place `span`.
    ///
    /// # Errors
    ///
    /// The place that claimed it before.
    pub fn claim(&mut self, key: String, span: Span) -> Result<(), Span> {
        match self.first.entry(key) {
            Entry::Occupied(first) => Err(*first.get()),
            Entry::Vacant(free) => {
                free.insert(span);
                Ok(())
            }
        }
    }
}

/// True for the loopback addresses, which each host may use by itself.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    let address = address.split('%').next().unwrap_or_default();
    address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}
