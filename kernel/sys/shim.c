// SPDX-License-Identifier: GPL-2.0
/* The module itself, tasks, and files in /proc. */
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched/isolation.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>

#include "shim.h"

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

void shim_kthread_cpus(struct cpumask *to)
{
	rcu_read_lock();
	cpumask_copy(to, housekeeping_cpumask(HK_TYPE_KTHREAD));
	rcu_read_unlock();
}

struct proc_dir_entry *shim_proc_create(const char *name, umode_t mode,
					int (*show)(struct seq_file *, void *), void *data)
{
	return proc_create_single_data(name, mode, NULL, show, data);
}

void shim_proc_remove(struct proc_dir_entry *entry)
{
	proc_remove(entry);
}
