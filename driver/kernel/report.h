/* SPDX-License-Identifier: Apache-2.0 */
/* What a comparison of trees has noted down, told to whoever asked for it. */
#ifndef KERNEL_REPORT_H
#define KERNEL_REPORT_H

#include "kernel/changes.h"
#include "kernel/dirs.h"
#include "kernel/records.h"

/**
 * changes_report() - report all records that are changes, in their order.
 * @chain: of the new tree, at its root.
 *
 * What vanished since it was noted down is left out.
 *
 * Return: 0, or a negative errno value; what @report returned, when it ended it.
 */
int changes_report(const struct records *records, struct dir_chain *chain, change_fn *report,
		   void *arg, struct snapdrv_error *err);

#endif
