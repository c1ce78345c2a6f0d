/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms, OS/ARCH[/VARIANT] in Go's words, and which entry of an index fits one. */
#ifndef IMAGE_PLATFORM_H
#define IMAGE_PLATFORM_H

#include <jansson.h>

#include "snapdrv.h"

struct platform {
	char os[32];
	char architecture[32];
	char variant[32]; /* "" where there is none */
};

/**
 * platform_parse() - read OS/ARCH[/VARIANT]; `x86_64` and `aarch64` and the like become Go's names,
 * arm without a variant is arm/v7, arm64/v8 is arm64.
 * Return: 0, or -EINVAL with USAGE.
 */
int platform_parse(const char *text, struct platform *ret_platform, struct snapdrv_error *err);

/** platform_host() - this machine's, from uname(2). */
void platform_host(struct platform *ret_platform);

/** platform_format() - OS/ARCH[/VARIANT], for free(3), or NULL with @err filled. */
char *platform_format(const struct platform *platform, struct snapdrv_error *err);

/**
 * platform_fit() - how well a descriptor's "platform" object (OCI image-index) suits.
 * @wanted:   what runs here.
 * @platform: the object, or NULL. Borrowed. Malformed ones do not fit; none at all may fit, so it is
 *            better than no entry and worse than any that says so.
 *
 * Variants of arm run on later ones (v6 on v7); a missing variant of amd64 or arm64 is the base one.
 *
 * Return: 0 not at all; otherwise the higher the better: 100 exact, less for lower variants, 1 for
 * NULL.
 */
int platform_fit(const struct platform *wanted, const json_t *platform);

#endif
