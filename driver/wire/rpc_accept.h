/* SPDX-License-Identifier: Apache-2.0 */
/* Taking connections from a listening socket until told to stop. */
#ifndef WIRE_RPC_ACCEPT_H
#define WIRE_RPC_ACCEPT_H

/**
 * accept_each() - hand over each connection.
 * @listen_fd: a socket that listens. @stop_fd: an eventfd(2); readable when it is over.
 * @flags: of accept4(2). @take: owns @fd from then on.
 *
 * Without descriptors for one more it waits a moment.
 */
void accept_each(int listen_fd, int stop_fd, int flags, void (*take)(void *arg, int fd), void *arg);

#endif
