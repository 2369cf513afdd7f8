/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C offers only as inline functions and macros, as functions for kernel/sys/ffi.rs.
 * There are no decisions in the shim: each function is one call, or a macro given a name.
 */
#ifndef DRBD_RS_SHIM_H
#define DRBD_RS_SHIM_H

#include <linux/types.h>

/* shim.c: the module itself, tasks, files in /proc */
struct cpumask;
struct proc_dir_entry;
struct seq_file;

unsigned int shim_noio_save(void);
void shim_noio_restore(unsigned int flags);
unsigned int shim_noreclaim_save(void);
void shim_noreclaim_restore(unsigned int flags);
bool shim_module_get(void);
void shim_module_put(void);
void shim_module_put_and_exit(void) __noreturn;
void shim_kthread_cpus(struct cpumask *to);
struct proc_dir_entry *shim_proc_create(const char *name, umode_t mode,
					int (*show)(struct seq_file *, void *), void *data);
void shim_proc_remove(struct proc_dir_entry *entry);

/* shim_blk.c: pages, block devices, bios, disks */
struct bio;
struct bio_vec;
struct block_device;
struct device;
struct gendisk;
struct page;
struct queue_limits;

/* What bdev.rs calls BackingTraits. */
struct shim_bdev_traits {
	u32 logical_block_size;
	u32 physical_block_size;
	u32 max_hw_sectors;
	u32 max_sectors;
	u32 max_discard_sectors;
	u32 discard_granularity;
	u32 max_write_zeroes_sectors;
	bool write_cache;
	bool fua;
	bool rotational;
	bool read_only;
	bool stable_writes;
	bool zoned;
};

void *shim_page_address(struct page *page);
bool shim_page_is_shared(struct page *page);
bool shim_sendpages_ok(struct page *page, size_t len, size_t offset);
bool shim_bvec_of(struct bio_vec *vec, void *bytes, size_t len);
void shim_bdev_traits(struct block_device *bdev, struct shim_bdev_traits *traits);
void shim_bdev_name(struct block_device *bdev, char *name, size_t size);
unsigned long shim_alloc_pages_bulk(gfp_t gfp, int count, struct page **pages);
void shim_limits_start(struct gendisk *disk, struct queue_limits *limits);
void shim_limits_cancel(struct gendisk *disk);
struct device *shim_disk_device(struct gendisk *disk);

/* shim_crypto.c: hashes; `work` is memory of the size and alignment below */
struct crypto_shash;

#define SHIM_HASH_WORK_SIZE 512
#define SHIM_HASH_WORK_ALIGN 16
#define SHIM_HASH_SIZE_MAX 64

struct crypto_shash *shim_hash_alloc(const char *name);
void shim_hash_free(struct crypto_shash *hash);
unsigned int shim_hash_size(struct crypto_shash *hash);
bool shim_hash_needs_key(struct crypto_shash *hash);
int shim_hash_set_key(struct crypto_shash *hash, const u8 *key, unsigned int len);
int shim_hash_begin(struct crypto_shash *hash, void *work);
int shim_hash_add(void *work, const u8 *bytes, unsigned int len);
int shim_hash_end(void *work, u8 *digest);

/* shim_net.c: sockets */
struct socket;

/* What socket.rs calls Fill. */
struct shim_sock_fill {
	u32 send_queued;
	u32 send_limit;
	u32 unacknowledged;
	u32 unread;
};

void shim_sock_for_block_io(struct socket *sock);
void shim_sock_done(struct socket *sock);
void shim_sock_set_reuseaddr(struct socket *sock);
void shim_sock_set_nodelay(struct socket *sock);
void shim_sock_set_cork(struct socket *sock, bool on);
void shim_sock_set_quickack(struct socket *sock);
void shim_sock_set_delayed_ack(struct socket *sock);
void shim_sock_set_priority(struct socket *sock, u32 priority);
void shim_sock_set_buffers(struct socket *sock, u32 send, u32 receive);
void shim_sock_set_sndtimeo(struct socket *sock, long timeout);
void shim_sock_set_rcvtimeo(struct socket *sock, long timeout);
void shim_sock_fill(struct socket *sock, struct shim_sock_fill *fill);

/* shim_genl.c: generic netlink */
struct genl_info;
struct sk_buff;

u32 shim_skb_port(const struct sk_buff *skb);
void *shim_skb_tail(struct sk_buff *skb, size_t *room);
int shim_genl_reply(struct sk_buff *skb, struct genl_info *info);

/* shim_params.c: parameters, and what the module knows about itself */
u32 shim_param_minor_count(void);
bool shim_param_disable_sendpage(void);
bool shim_param_allow_oos(void);
int shim_param_proc_details(void);
void shim_param_usermode_helper(char *to, size_t size);
const char *shim_commit(void);

#endif
