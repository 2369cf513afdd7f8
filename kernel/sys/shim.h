/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C offers only as inline functions and macros, as functions for kernel/sys/ffi.rs.
 * There are no decisions in the shim: each function is one call, or a macro given a name.
 */
#ifndef DRBD_RS_SHIM_H
#define DRBD_RS_SHIM_H

#include <linux/types.h>

/* shim.c: tasks and the module itself */
unsigned int shim_noio_save(void);
void shim_noio_restore(unsigned int flags);
unsigned int shim_noreclaim_save(void);
void shim_noreclaim_restore(unsigned int flags);
bool shim_module_get(void);
void shim_module_put(void);
void shim_module_put_and_exit(void) __noreturn;

#endif
