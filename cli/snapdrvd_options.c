/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's command line: one table for reading it and for its help. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapdrvd.h"

static const struct row {
	const char *name;
	const char *value;
	const char *help;
	size_t offset; /* in struct settings */
} rows[] = {
	{"address", "SOCKET", "answer on this Unix socket", offsetof(struct settings, address)},
	{"root", "DIR", "directory of the store ($SNAPDRV_ROOT, /var/lib/snapdrv)",
	 offsetof(struct settings, root)},
	{"driver", "NAME", "auto, btrfs, overlay or vfs ($SNAPDRV_DRIVER, auto)",
	 offsetof(struct settings, driver)},
	{"metrics", "SOCKET", "answer with counts in the format of Prometheus, by HTTP",
	 offsetof(struct settings, metrics)},
	{"containerd", "SOCKET",
	 "containerd's socket, for layers (/run/containerd/containerd.sock)",
	 offsetof(struct settings, containerd)},
	{"content", "DIR",
	 "its content store, where layers are read without asking\n"
	 "                        (/var/lib/containerd/io.containerd.content.v1.content)",
	 offsetof(struct settings, content)},
	{"help", NULL, "print this help", 0},
	{"version", NULL, "print the version", 0},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void print_help(void)
{
	puts("Usage: snapdrvd --address SOCKET [OPTION]...\n"
	     "Offer the snapshots of a store to containerd.\n\nOptions:");
	for (size_t i = 0; i < N_ROWS; i++)
		printf("  --%-10s %-9s %s\n", rows[i].name, rows[i].value ? rows[i].value : "",
		       rows[i].help);
}

int settings_read(struct settings *settings, int argc, char **argv, struct snapdrv_error *err)
{
	struct option longs[N_ROWS + 1] = {0};
	int found, at;

	for (size_t i = 0; i < N_ROWS; i++)
		longs[i] = (struct option){.name = rows[i].name, .has_arg = !!rows[i].value};
	opterr = 0;
	while ((found = getopt_long(argc, argv, "+", longs, &at)) != -1) {
		if (found)
			return daemon_fail(err, SNAPDRV_USAGE, EINVAL,
					   "'%s': no such option, or its value is missing",
					   argv[optind - 1]);
		if (rows[at].value) {
			memcpy((char *)settings + rows[at].offset, &optarg, sizeof(optarg));
			continue;
		}
		if (!strcmp(rows[at].name, "help"))
			print_help();
		else
			puts("snapdrvd " SNAPDRV_VERSION);
		if (fflush(stdout))
			return daemon_fail(err, SNAPDRV_FAILED, errno, "standard output: %s",
					   strerror(errno));
		return 1;
	}
	if (optind < argc)
		return daemon_fail(err, SNAPDRV_USAGE, EINVAL, "'%s': one argument too many",
				   argv[optind]);
	if (!settings->containerd)
		settings->containerd = "/run/containerd/containerd.sock";
	if (!settings->content)
		settings->content = "/var/lib/containerd/io.containerd.content.v1.content";
	return 0;
}
