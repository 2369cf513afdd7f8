// SPDX-License-Identifier: GPL-2.0
//! Settings of a resource: the `options` section, `new-resource` and `resource-options`.

use super::{
    option::OptionSpec,
    processors::{NoBitmap, Processors, Reading},
    words::OnNoData,
};
use crate::genl::{nest_macro::nest, Text};

nest! {
    /// What concerns a resource as a whole (`RESOURCE_OPTS`).
    pub struct ResOpts = 4 "res_opts" {
        /// Processors for the resource's threads, hexadecimal (see [`Processors`]); empty: all.
        cpu_mask: Text<32> = 1 [mandatory] option(OptionSpec::text("cpu-mask"));
        /// What happens to IO while no data can be reached.
        on_no_data: OnNoData = 2 [mandatory]
            option(OptionSpec::words("on-no-data-accessible", 0, OnNoData::WORDS));
    }
}

impl ResOpts {
    /// The processors that the threads may run on, of a machine that may have `possible` ones.
    ///
    /// # Errors
    /// The text of `cpu-mask` is no bitmap.
    pub fn processors(&self, possible: u32) -> Result<Reading, NoBitmap> {
        Processors::read(self.cpu_mask.as_bytes(), possible)
    }
}

/// Fields in the order in which stock tools list and print their options.
pub const RESOURCE_OPTION_ORDER: &[u16] = &[1, 2];
