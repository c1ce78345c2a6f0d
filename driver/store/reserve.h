/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room that is kept back: locks/reserve, a file of 1 MiB.
 *
 * A removal writes before it frees anything: a directory in staging, pages of the database's WAL. On a full disk it
 * would fail for want of what it is to give back; on xfs so would every opening, for the database's shared memory.
 */
#ifndef STORE_RESERVE_H
#define STORE_RESERVE_H

#include "store/store.h"

/** reserve_give_up() - free it. Return: 1 there is more room now, 0 it was not there. */
int reserve_give_up(struct store *store);

/** reserve_helps() - free it where @errnum says that room is what lacks. Return: whether to try again. */
int reserve_helps(struct store *store, int errnum);

/**
 * reserve_session() - store_session() for what gives room back: frees the reserve if the filesystem, or the quota,
 * has less left than it.
 */
int reserve_session(struct store *store, struct snapdrv_error *err);

/** reserve_keep() - take it (again) if it is not there and there is room. */
void reserve_keep(struct store *store);

#endif
