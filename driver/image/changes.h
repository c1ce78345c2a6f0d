/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile instructions that change an image's config, as `docker import --change` takes them. */
#ifndef IMAGE_CHANGES_H
#define IMAGE_CHANGES_H

#include <jansson.h>

#include "snapdrv.h"

/**
 * config_change() - carry out one instruction.
 * @config: the "config" object of an image config (OCI image spec, config.md). Changed.
 * @line:   CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR with its words.
 *
 * Return: 0, or -EINVAL with USAGE.
 */
int config_change(json_t *config, const char *line, struct snapdrv_error *err);

#endif
