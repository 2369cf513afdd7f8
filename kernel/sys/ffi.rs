// SPDX-License-Identifier: GPL-2.0

//! Declarations of what `shim*.c` define, in the order of `shim.h`.

// C structures that are empty in some configurations (lock classes) are no concern of these calls:
// all structures of C go by pointer.
#![allow(improper_ctypes)]

use kernel::{
    bindings,
    prelude::*, //
};

use super::{
    bdev::BackingTraits,
    socket::Fill, //
};

extern "C" {
    pub(super) fn shim_noio_save() -> c_uint;
    pub(super) fn shim_noio_restore(flags: c_uint);
    pub(super) fn shim_noreclaim_save() -> c_uint;
    pub(super) fn shim_noreclaim_restore(flags: c_uint);

    pub(super) fn shim_module_get() -> bool;
    pub(super) fn shim_module_put();
    #[cfg(DRBD_SELFTEST)]
    pub(super) fn shim_module_put_and_exit() -> !;
    pub(super) fn shim_kthread_cpus(to: *mut bindings::cpumask);
    pub(super) fn shim_proc_create(
        name: *const c_char,
        mode: bindings::umode_t,
        show: Option<unsafe extern "C" fn(*mut bindings::seq_file, *mut c_void) -> c_int>,
        data: *mut c_void,
    ) -> *mut bindings::proc_dir_entry;
    pub(super) fn shim_proc_remove(entry: *mut bindings::proc_dir_entry);

    pub(super) fn shim_page_address(page: *mut bindings::page) -> *mut c_void;
    pub(super) fn shim_page_is_shared(page: *mut bindings::page) -> bool;
    pub(super) fn shim_sendpages_ok(page: *mut bindings::page, len: usize, offset: usize) -> bool;
    pub(super) fn shim_bvec_of(vec: *mut bindings::bio_vec, bytes: *mut c_void, len: usize)
        -> bool;
    pub(super) fn shim_bdev_traits(bdev: *mut bindings::block_device, traits: *mut BackingTraits);
    #[cfg(DRBD_SELFTEST)]
    pub(super) fn shim_bdev_name(bdev: *mut bindings::block_device, name: *mut c_char, size: usize);
    pub(super) fn shim_alloc_pages_bulk(
        gfp: bindings::gfp_t,
        count: c_int,
        pages: *mut *mut bindings::page,
    ) -> usize;
    pub(super) fn shim_limits_start(
        disk: *mut bindings::gendisk,
        limits: *mut bindings::queue_limits,
    );
    pub(super) fn shim_limits_cancel(disk: *mut bindings::gendisk);
    pub(super) fn shim_disk_device(disk: *mut bindings::gendisk) -> *mut bindings::device;

    pub(super) fn shim_hash_alloc(name: *const c_char) -> *mut c_void;
    pub(super) fn shim_hash_free(hash: *mut c_void);
    pub(super) fn shim_hash_size(hash: *mut c_void) -> c_uint;
    pub(super) fn shim_hash_needs_key(hash: *mut c_void) -> bool;
    pub(super) fn shim_hash_set_key(hash: *mut c_void, key: *const u8, len: c_uint) -> c_int;
    pub(super) fn shim_hash_begin(hash: *mut c_void, work: *mut c_void) -> c_int;
    pub(super) fn shim_hash_add(work: *mut c_void, bytes: *const u8, len: c_uint) -> c_int;
    pub(super) fn shim_hash_end(work: *mut c_void, digest: *mut u8) -> c_int;

    pub(super) fn shim_sock_for_block_io(sock: *mut bindings::socket);
    pub(super) fn shim_sock_done(sock: *mut bindings::socket);
    pub(super) fn shim_sock_set_reuseaddr(sock: *mut bindings::socket);
    pub(super) fn shim_sock_set_nodelay(sock: *mut bindings::socket);
    #[cfg(DRBD_SELFTEST)]
    pub(super) fn shim_sock_set_cork(sock: *mut bindings::socket, on: bool);
    #[cfg(DRBD_SELFTEST)]
    pub(super) fn shim_sock_set_quickack(sock: *mut bindings::socket);
    pub(super) fn shim_sock_set_delayed_ack(sock: *mut bindings::socket);
    pub(super) fn shim_sock_set_priority(sock: *mut bindings::socket, priority: u32);
    pub(super) fn shim_sock_set_buffers(sock: *mut bindings::socket, send: u32, receive: u32);
    pub(super) fn shim_sock_set_sndtimeo(sock: *mut bindings::socket, timeout: c_long);
    pub(super) fn shim_sock_set_rcvtimeo(sock: *mut bindings::socket, timeout: c_long);
    pub(super) fn shim_sock_fill(sock: *mut bindings::socket, fill: *mut Fill);

    pub(super) fn shim_skb_port(skb: *const bindings::sk_buff) -> u32;
    pub(super) fn shim_skb_tail(skb: *mut bindings::sk_buff, room: *mut usize) -> *mut u8;
    pub(super) fn shim_genl_reply(
        skb: *mut bindings::sk_buff,
        info: *mut bindings::genl_info,
    ) -> c_int;

    pub(super) fn shim_param_minor_count() -> u32;
    pub(super) fn shim_param_disable_sendpage() -> bool;
    pub(super) fn shim_param_allow_oos() -> bool;
    pub(super) fn shim_param_proc_details() -> c_int;
    pub(super) fn shim_param_usermode_helper(to: *mut c_char, size: usize);
    pub(super) fn shim_commit() -> *const c_char;
}
