/* SPDX-License-Identifier: Apache-2.0 */
/* What writing and reading inventories have in common. */
#ifndef KERNEL_INVENTORY_FILE_H
#define KERNEL_INVENTORY_FILE_H

#define INVENTORY_MAGIC "snapdrv inventory 1\n"
#define INVENTORY_TRAILER (1 + 8 + 16)

#endif
