/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP while something works that can be asked to stop. */
#ifndef CLI_STOPPING_H
#define CLI_STOPPING_H

#include "cli.h"

/**
 * stopping_begin() - from now on the first of these signals only makes a descriptor readable: what works ends as what
 * fails, and leaves nothing behind. Another one ends the program at once, and so does the first when nothing has come
 * of it in ten seconds: what is left then is removed by the next command, as after a kill.
 *
 * Return: the descriptor, or -1: then signals do what they always do.
 */
int stopping_begin(void);

/** stopping_end() - what works is through. A signal that came meanwhile ends the program here. */
void stopping_end(struct cli *cli);

#endif
