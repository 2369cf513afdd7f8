// SPDX-License-Identifier: GPL-2.0
/*
 * What only C can say to the kernel: macros and inline functions. No policy lives here.
 */
#include <linux/module.h>

/* The version whose interface we offer; tools read it to choose between 8.4 and 9. */
MODULE_VERSION("8.4.11");
