// SPDX-License-Identifier: GPL-2.0
/* The module's parameters, and what the module knows about itself. */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "shim.h"

/* The version whose interface we offer; tools read it to choose between 8.4 and 9. */
MODULE_VERSION("8.4.11");
/* Tells this module from the C driver of the same name. */
MODULE_INFO(implementation, "drbd-rs");

static unsigned int minor_count = 32;
module_param(minor_count, uint, 0444);
MODULE_PARM_DESC(minor_count, "Approximate number of drbd devices (1-255)");

static bool disable_sendpage;
module_param(disable_sendpage, bool, 0644);
MODULE_PARM_DESC(disable_sendpage, "Copy data into the socket instead of splicing pages");

static bool allow_oos;
module_param(allow_oos, bool, 0);
MODULE_PARM_DESC(allow_oos, "Allow to read a device that is not primary: it may be out of sync");

static int proc_details;
module_param(proc_details, int, 0644);
MODULE_PARM_DESC(proc_details, "Level of detail in /proc/drbd (0-2)");

static char usermode_helper[80] = "/sbin/drbdadm";
module_param_string(usermode_helper, usermode_helper, sizeof(usermode_helper), 0644);
MODULE_PARM_DESC(usermode_helper, "Program that is called for handlers");

u32 shim_param_minor_count(void)
{
	return READ_ONCE(minor_count);
}

bool shim_param_disable_sendpage(void)
{
	return READ_ONCE(disable_sendpage);
}

bool shim_param_allow_oos(void)
{
	return READ_ONCE(allow_oos);
}

int shim_param_proc_details(void)
{
	return READ_ONCE(proc_details);
}

void shim_param_usermode_helper(char *to, size_t size)
{
	kernel_param_lock(THIS_MODULE);
	strscpy(to, usermode_helper, size);
	kernel_param_unlock(THIS_MODULE);
}

const char *shim_commit(void)
{
	static_assert(sizeof(DRBD_RS_COMMIT) == 41);
	return DRBD_RS_COMMIT;
}
