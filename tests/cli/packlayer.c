/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write the layers of an image anew:
 *
 *	packlayer ROOT CHAINID...	each as 0.tar, 1.tar, ... in the current directory
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/pack.h"

static int put(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	(void)err;
	return fwrite(data, 1, size, context) == size ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct graph graph;
	struct snapdrv_error err = {0};
	int ret = argc > 1 ? graph_open(argv[1], "auto", &graph, &err) : -1;

	for (int i = 2; i < argc && !ret; i++) {
		struct snapshot snapshot;
		char name[32];
		FILE *file;

		snprintf(name, sizeof(name), "%d.tar", i - 2);
		file = fopen(name, "we");
		ret = file && snapshot_find(&graph, argv[i], &snapshot, &err) == 1
			      ? snapshot_pack(&graph, &snapshot, put, file, &err)
			      : -1;
		if (file && fclose(file))
			ret = -1;
	}
	if (ret)
		fprintf(stderr, "packlayer: %s\n", err.message);
	else
		graph_close(&graph);
	return ret != 0;
}
