/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several commands have: those that bring in an image, those that speak to a registry. */
#ifndef CLI_INTAKE_H
#define CLI_INTAKE_H

/** INTAKE_ROWS() - rows of an option table; @holder has a struct snapdrv_load_options called options. */
#define INTAKE_ROWS(holder)                                                          \
	{.name = "platform",                                                         \
	 .type = OPTION_TEXT,                                                        \
	 .value = "OS/ARCH",                                                         \
	 .help = "the platform, with /VARIANT (this machine's)",                     \
	 .offset = offsetof(holder, options.platform)},                              \
		{.name = "discard-blobs",                                            \
		 .type = OPTION_FLAG,                                                \
		 .help = "keep no compressed layers",                                \
		 .offset = offsetof(holder, options.flags),                          \
		 .bit = SNAPDRV_DISCARD_BLOBS},                                      \
		{.name = "no-sync",                                                  \
		 .type = OPTION_FLAG,                                                \
		 .help = "do not wait for the disk; a power cut may lose the image", \
		 .offset = offsetof(holder, options.flags),                          \
		 .bit = SNAPDRV_NO_SYNC},                                            \
		{.name = "verity",                                                   \
		 .type = OPTION_FLAG,                                                \
		 .help = "let the kernel refuse changed files of layers: fs-verity", \
		 .offset = offsetof(holder, options.flags),                          \
		 .bit = SNAPDRV_VERITY},                                             \
		{.name = "max-entries",                                              \
		 .type = OPTION_NUMBER,                                              \
		 .value = "N",                                                       \
		 .help = "most entries of a layer (10000000)",                       \
		 .offset = offsetof(holder, options.max_entries)},                   \
		{.name = "max-bytes",                                                \
		 .type = OPTION_SIZE,                                                \
		 .value = "SIZE",                                                    \
		 .help = "most uncompressed bytes of a layer (1T)",                  \
		 .offset = offsetof(holder, options.max_bytes)},                     \
	{                                                                            \
		.name = "max-ratio", .type = OPTION_NUMBER, .value = "N",            \
		.help = "most uncompressed bytes for a compressed one (1100)",       \
		.offset = offsetof(holder, options.max_ratio)                        \
	}

/** REGISTRY_ROWS() - likewise of every command that speaks to a registry; @holder has options called registry. */
#define REGISTRY_ROWS(holder)                                              \
	{.name = "creds",                                                  \
	 .type = OPTION_TEXT,                                              \
	 .value = "USER:PASS",                                             \
	 .help = "name and password (from podman's and docker's files)",   \
	 .offset = offsetof(holder, registry.creds)},                      \
		{.name = "plain-http",                                     \
		 .type = OPTION_FLAG,                                      \
		 .help = "speak HTTP, without TLS",                        \
		 .offset = offsetof(holder, registry.flags),               \
		 .bit = SNAPDRV_PLAIN_HTTP},                               \
	{                                                                  \
		.name = "cert-dir", .type = OPTION_TEXT, .value = "DIR",   \
		.help = "directory of ca.crt, client.cert and client.key", \
		.offset = offsetof(holder, registry.cert_dir)              \
	}

#endif
