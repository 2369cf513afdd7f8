// SPDX-License-Identifier: GPL-2.0
/* The module itself, and tasks. */
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "shim.h"

/* The version whose interface we offer; tools read it to choose between 8.4 and 9. */
MODULE_VERSION("8.4.11");
/* Tells this module from the C driver of the same name. */
MODULE_INFO(implementation, "drbd-rs");

unsigned int shim_noio_save(void)
{
	return memalloc_noio_save();
}

void shim_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

unsigned int shim_noreclaim_save(void)
{
	return memalloc_noreclaim_save();
}

void shim_noreclaim_restore(unsigned int flags)
{
	memalloc_noreclaim_restore(flags);
}

bool shim_module_get(void)
{
	return try_module_get(THIS_MODULE);
}

void shim_module_put(void)
{
	module_put(THIS_MODULE);
}

void shim_module_put_and_exit(void)
{
	module_put_and_kthread_exit(0);
}
