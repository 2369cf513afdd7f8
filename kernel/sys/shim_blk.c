// SPDX-License-Identifier: GPL-2.0
/* Block devices, bios, disks. */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/net.h>

#include "shim.h"

void *shim_page_address(struct page *page)
{
	return page_address(page);
}

bool shim_page_is_shared(struct page *page)
{
	return page_count(page) > 1;
}

bool shim_sendpages_ok(struct page *page, size_t len, size_t offset)
{
	return sendpages_ok(page, len, offset);
}

bool shim_bvec_of(struct bio_vec *vec, void *bytes, size_t len)
{
	if (!virt_addr_valid(bytes))
		return false;
	bvec_set_virt(vec, bytes, len);
	return true;
}

void shim_bdev_traits(struct block_device *bdev, struct shim_bdev_traits *traits)
{
	traits->logical_block_size = bdev_logical_block_size(bdev);
	traits->physical_block_size = bdev_physical_block_size(bdev);
	traits->max_hw_sectors = queue_max_hw_sectors(bdev_get_queue(bdev));
	traits->max_sectors = queue_max_sectors(bdev_get_queue(bdev));
	traits->max_discard_sectors = bdev_max_discard_sectors(bdev);
	traits->discard_granularity = bdev_discard_granularity(bdev);
	traits->max_write_zeroes_sectors = bdev_write_zeroes_sectors(bdev);
	traits->write_cache = bdev_write_cache(bdev);
	traits->fua = bdev_fua(bdev);
	traits->rotational = bdev_rot(bdev);
	traits->read_only = bdev_read_only(bdev);
	traits->stable_writes = bdev_stable_writes(bdev);
	traits->zoned = bdev_is_zoned(bdev);
}

void shim_bdev_name(struct block_device *bdev, char *name, size_t size)
{
	snprintf(name, size, "%pg", bdev);
}

unsigned long shim_alloc_pages_bulk(gfp_t gfp, int count, struct page **pages)
{
	return alloc_pages_bulk(gfp, count, pages);
}

void shim_limits_start(struct gendisk *disk, struct queue_limits *limits)
{
	*limits = queue_limits_start_update(disk->queue);
}

void shim_limits_cancel(struct gendisk *disk)
{
	queue_limits_cancel_update(disk->queue);
}

struct device *shim_disk_device(struct gendisk *disk)
{
	return disk_to_dev(disk);
}
