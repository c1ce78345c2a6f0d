/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsnapdrv: container images on one machine, turned into root filesystems.
 *
 * This is the public header; what it declares is in those that it includes. It needs nothing but libc and
 * compiles as C89 and as C++.
 *
 * Conventions. A function that can fail takes a `struct snapdrv_error *err` last; it may be NULL and
 * is untouched on success. The result is 0 on success and a negative errno value on failure, with
 * err->code saying which kind of failure it was. Out parameters are called ret_x and are written on
 * success only. Strings are bytes that end in NUL; what the library allocates is given back with the
 * function that its comment names. Sizes are in bytes, times in nanoseconds since 1970 (UTC).
 *
 * Threads: one handle is used by one thread at a time; it may go from one thread to another. Any number
 * of threads may each use a handle of their own, of the same store or of others, at the same time, and so
 * may any number of processes. A handle is of no use in a child of fork(2), not even to be closed there.
 * The library starts threads for its work and ends them before a call returns; progress functions are
 * called from these. It leaves the working directory, the umask and the signal handlers of the process
 * alone, and reads the environment: no thread may change that meanwhile.
 */
#ifndef SNAPDRV_H
#define SNAPDRV_H

#define SNAPDRV_VERSION "0.1.0"

#include "snapdrv/build.h"
#include "snapdrv/check.h"
#include "snapdrv/container.h"
#include "snapdrv/error.h"
#include "snapdrv/image.h"
#include "snapdrv/layer.h"
#include "snapdrv/load.h"
#include "snapdrv/scratch.h"
#include "snapdrv/snapshot.h"
#include "snapdrv/space.h"
#include "snapdrv/store.h"

#endif
