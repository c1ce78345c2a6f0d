/* SPDX-License-Identifier: Apache-2.0 */
/* What ThreadSanitizer is told of gRPC's queue, whose own locks it does not see. */
#ifndef WIRE_RPC_TSAN_H
#define WIRE_RPC_TSAN_H

/*
 * An event goes from the thread that asks for it through gRPC's queue to the one that it happens to. The queue
 * orders the two; ThreadSanitizer does not see that, since gRPC is not compiled with it.
 */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#else
#define __tsan_acquire(address) ((void)(address))
#define __tsan_release(address) ((void)(address))
#endif

#endif
