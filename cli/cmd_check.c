/* SPDX-License-Identifier: Apache-2.0 */
/* The health of the store: check. */
#include <stddef.h>
#include <stdio.h>

#include "cli.h"
#include "output.h"
#include "progress.h"
#include "show.h"

struct check_values {
	struct snapdrv_check_options options;
	struct snapdrv_registry_options registry;
	struct progress_line progress;
};

#define AT(member) offsetof(struct check_values, member)

static const struct option_row check_options[] = {
	{.name = "deep",
	 .type = OPTION_FLAG,
	 .help = "read every layer and blob, and compare each file",
	 .offset = AT(options.flags),
	 .bit = SNAPDRV_CHECK_DEEP},
	{.name = "repair",
	 .type = OPTION_FLAG,
	 .help = "make damaged layers again from their blobs, get damaged blobs again",
	 .offset = AT(options.flags),
	 .bit = SNAPDRV_CHECK_REPAIR},
	{.name = "creds",
	 .type = OPTION_TEXT,
	 .value = "USER:PASS",
	 .help = "for the one registry that is asked (else from podman's and docker's files)",
	 .offset = AT(registry.creds)},
	{.name = "cert-dir",
	 .type = OPTION_TEXT,
	 .value = "DIR",
	 .help = "directory of ca.crt, client.cert and client.key for it",
	 .offset = AT(registry.cert_dir)},
	{0},
};

#define FINDING(member) offsetof(struct snapdrv_finding, member)

static const struct field finding_fields[] = {
	{.key = "kind", .offset = FINDING(kind)},
	{.key = "name", .offset = FINDING(name)},
	{.key = "problem", .offset = FINDING(problem)},
	{.key = "repaired", .type = FIELD_BOOL, .offset = FINDING(is_repaired)},
	{.key = "remedy", .offset = FINDING(remedy)},
	{.key = "images",
	 .type = FIELD_LIST,
	 .offset = FINDING(images),
	 .count = FINDING(n_images)},
	{.key = "containers",
	 .type = FIELD_LIST,
	 .offset = FINDING(containers),
	 .count = FINDING(n_containers)},
	{0},
};

#define CHECK(member) offsetof(struct snapdrv_check, member)

static const struct field check_fields[] = {
	{.key = "layers", .type = FIELD_COUNT, .offset = CHECK(layers)},
	{.key = "blobs", .type = FIELD_COUNT, .offset = CHECK(blobs)},
	{.key = "images", .type = FIELD_COUNT, .offset = CHECK(images)},
	{.key = "containers", .type = FIELD_COUNT, .offset = CHECK(containers)},
	{.key = "unrecorded", .type = FIELD_COUNT, .offset = CHECK(unrecorded)},
	{.key = "bytes_read", .type = FIELD_SIZE, .offset = CHECK(bytes)},
	{.key = "strays", .type = FIELD_COUNT, .offset = CHECK(strays)},
	{.key = "stray_bytes", .type = FIELD_SIZE, .offset = CHECK(stray_bytes)},
	{.key = "damaged", .type = FIELD_COUNT, .offset = CHECK(n_damaged)},
	{.key = "findings",
	 .type = FIELD_ROWS,
	 .offset = CHECK(findings),
	 .count = CHECK(n_findings),
	 .fields = finding_fields,
	 .size = sizeof(struct snapdrv_finding)},
	{0},
};

static void print_names(const char *what, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ", " : what, stdout);
		show_text(stdout, show_reference(names[i]));
	}
	if (count)
		putchar('\n');
}

static void print_finding(const struct snapdrv_finding *finding)
{
	printf("%s ", finding->kind);
	show_text(stdout, show_reference(finding->name));
	fputs(": ", stdout);
	show_text(stdout, finding->problem);
	putchar('\n');
	print_names("  images: ", finding->images, finding->n_images);
	print_names("  containers: ", finding->containers, finding->n_containers);
	if (!finding->remedy)
		return;
	fputs(finding->is_repaired ? "  repaired: " : "  not repaired: ", stdout);
	show_text(stdout, finding->remedy);
	putchar('\n');
}

static void print_check(const struct snapdrv_check *check, unsigned flags)
{
	for (size_t i = 0; i < check->n_findings; i++)
		print_finding(&check->findings[i]);
	printf("%zu layers, %zu blobs, %zu images, %zu containers", check->layers, check->blobs,
	       check->images, check->containers);
	if (flags & SNAPDRV_CHECK_DEEP)
		printf(", %s read", show_size(check->bytes).text);
	if (check->unrecorded)
		printf(", %zu layers %s", check->unrecorded,
		       flags & SNAPDRV_CHECK_REPAIR ? "recorded now" : "without a record");
	if (check->strays)
		printf(", %zu stray files (%s, for gc)", check->strays,
		       show_size(check->stray_bytes).text);
	printf(": %zu damaged", check->n_damaged);
	if (check->n_findings > check->n_damaged)
		printf(", %zu repaired", check->n_findings - check->n_damaged);
	putchar('\n');
}

void cmd_check(struct cli *cli)
{
	struct check_values values = {0};
	struct snapdrv_check check;
	struct snapdrv_error err;
	int ret;

	if (cli_begin(cli, check_options, &values, 0, 0))
		return;
	values.options.registry = &values.registry;
	progress_line_begin(cli, &values.progress, &values.options.progress,
			    &values.options.progress_arg);
	ret = snapdrv_check(cli->store, &values.options, &check, &err);
	progress_line_done(&values.progress);
	if (ret) {
		cli_report(cli, &err);
		return;
	}
	if (cli->json) {
		if (output_json_row("check", check_fields, &check))
			cli_memory(cli);
	} else if (!cli->quiet || check.n_findings) {
		print_check(&check, values.options.flags);
	}
	/* Where the list is lost, that is what is told at the end. */
	if (!fflush(stdout) && check.n_damaged)
		cli_fail(cli, SNAPDRV_FAILED, "check: %zu things are damaged", check.n_damaged);
	snapdrv_check_done(&check);
}
