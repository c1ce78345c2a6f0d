/* SPDX-License-Identifier: Apache-2.0 */
/* Checking the store: the findings, and what they touch. */
#include "image/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/repair.h"

static void strings_give(struct strings *list, char ***ret_items, size_t *ret_count)
{
	*ret_items = list->items;
	*ret_count = list->count;
	*list = (struct strings){0};
}

static void free_all(char **items, size_t count)
{
	struct strings list = {items, count};

	strings_done(&list);
}

void store_check_done(struct snapdrv_check *check)
{
	for (size_t i = 0; i < check->n_findings; i++) {
		struct snapdrv_finding *finding = &check->findings[i];

		free(finding->kind);
		free(finding->name);
		free(finding->problem);
		free(finding->remedy);
		free_all(finding->images, finding->n_images);
		free_all(finding->containers, finding->n_containers);
	}
	free(check->findings);
	*check = (struct snapdrv_check){0};
}

static void check_done(struct check *check)
{
	store_check_done(&check->found);
	for (size_t i = 0; i < check->n_damages; i++)
		strings_done(&check->damages[i].files);
	free(check->damages);
	free(check->registry);
	pthread_mutex_destroy(&check->lock);
}

/* ---- findings ----------------------------------------------------------------------------- */

static ssize_t find_as(struct check *check, const char *kind, const char *name,
		       struct snapdrv_error *err, const char *format, va_list arguments)
{
	struct snapdrv_check *found = &check->found;
	struct snapdrv_finding *grown =
		reallocarray(found->findings, found->n_findings + 1, sizeof(*grown));
	struct snapdrv_finding finding = {.kind = text_dup(kind, err), .name = text_dup(name, err)};

	if (grown)
		found->findings = grown;
	if (!grown || !finding.kind || !finding.name ||
	    vasprintf(&finding.problem, format, arguments) < 0) {
		free(finding.kind);
		free(finding.name);
		return fail_memory(err);
	}
	grown[found->n_findings] = finding;
	return (ssize_t)found->n_findings++;
}

ssize_t check_find(struct check *check, const char *kind, const char *name,
		   struct snapdrv_error *err, const char *format, ...)
{
	va_list arguments;
	ssize_t index;

	va_start(arguments, format);
	index = find_as(check, kind, name, err, format, arguments);
	va_end(arguments);
	return index;
}

struct damage *check_damaged_tree(struct check *check, int64_t tree)
{
	for (size_t i = 0; i < check->n_damages; i++) {
		if (!check->damages[i].is_blob && check->damages[i].tree == tree)
			return &check->damages[i];
	}
	return NULL;
}

struct damage *check_damaged_blob(struct check *check, const struct digest *digest)
{
	for (size_t i = 0; i < check->n_damages; i++) {
		if (check->damages[i].is_blob && digest_equal(&check->damages[i].digest, digest))
			return &check->damages[i];
	}
	return NULL;
}

static int add_damage(struct check *check, const struct damage *damage, struct snapdrv_error *err)
{
	struct damage *grown = reallocarray(check->damages, check->n_damages + 1, sizeof(*grown));

	if (!grown)
		return fail_memory(err);
	check->damages = grown;
	grown[check->n_damages++] = *damage;
	return 0;
}

int check_damage_tree(struct check *check, int64_t tree, const char *name, int is_gone,
		      struct strings *files, struct snapdrv_error *err, const char *format, ...)
{
	struct damage damage = {.tree = tree, .is_gone = is_gone};
	va_list arguments;
	ssize_t index;
	int ret;

	if (check_damaged_tree(check, tree))
		return 0;
	va_start(arguments, format);
	index = find_as(check, "layer", name, err, format, arguments);
	va_end(arguments);
	if (index < 0)
		return (int)index;
	damage.finding = (size_t)index;
	if (files)
		damage.files = *files;
	ret = add_damage(check, &damage, err);
	if (!ret && files)
		*files = (struct strings){0};
	return ret;
}

int check_damage_blob(struct check *check, const char *digest, struct snapdrv_error *err,
		      const char *format, ...)
{
	struct damage damage = {.is_blob = 1};
	va_list arguments;
	ssize_t index;

	/* What is no digest is a matter of the database. */
	if (digest_parse(digest, &damage.digest, NULL)) {
		index = check_find(check, "database", digest, err, "a blob's name is no digest");
		return index < 0 ? (int)index : 0;
	}
	if (check_damaged_blob(check, &damage.digest))
		return 0;
	va_start(arguments, format);
	index = find_as(check, "blob", digest, err, format, arguments);
	va_end(arguments);
	damage.finding = (size_t)index;
	return index < 0 ? (int)index : add_damage(check, &damage, err);
}

int check_remedy(struct check *check, const struct damage *damage, int is_repaired,
		 struct snapdrv_error *err, const char *format, ...)
{
	struct snapdrv_finding *finding = &check->found.findings[damage->finding];
	va_list arguments;
	char *remedy;
	int length;

	va_start(arguments, format);
	length = vasprintf(&remedy, format, arguments);
	va_end(arguments);
	if (length < 0)
		return fail_memory(err);
	free(finding->remedy);
	finding->remedy = remedy;
	finding->is_repaired = is_repaired;
	return 0;
}

/* ---- what they touch ---------------------------------------------------------------------- */

#define IMAGE_NAME "ifnull((SELECT min(name) FROM reference WHERE image = image.id), config_digest)"

static int list_names(struct query *query, char ***ret_items, size_t *ret_count,
		      struct snapdrv_error *err)
{
	cleanup_strings struct strings names = {0};
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = strings_add(&names, query_text(query, 0), err);
	if (!ret)
		strings_give(&names, ret_items, ret_count);
	return ret;
}

static int list_touched(struct check *check, const struct damage *damage, struct snapdrv_error *err)
{
	struct snapdrv_finding *finding = &check->found.findings[damage->finding];
	struct db *db = check->graph->store.db;
	struct digest_text digest = digest_format(&damage->digest);
	cleanup_query struct query *images = NULL, *containers = NULL;
	int ret;

	if (damage->is_blob) {
		images = db_query(db, err,
				  "SELECT " IMAGE_NAME
				  " FROM image JOIN image_blob ON image_blob.image ="
				  " image.id WHERE image_blob.digest = ? ORDER BY 1",
				  "s", digest.text);
		return list_names(images, &finding->images, &finding->n_images, err);
	}
	images = db_query(db, err,
			  CHECK_STANDING "SELECT " IMAGE_NAME
					 " FROM image WHERE top IN above ORDER BY 1",
			  "i", damage->tree);
	ret = list_names(images, &finding->images, &finding->n_images, err);
	if (ret)
		return ret;
	containers =
		db_query(db, err,
			 CHECK_STANDING "SELECT name FROM live_container WHERE snapshot IN above"
					" ORDER BY 1",
			 "i", damage->tree);
	return list_names(containers, &finding->containers, &finding->n_containers, err);
}

static int run(struct check *check, struct snapdrv_error *err)
{
	unsigned flags = check->options->flags;
	int ret = check_quickly(check, err);

	if (!ret && flags & SNAPDRV_CHECK_DEEP)
		ret = check_contents(check, err);
	for (size_t i = 0; i < check->n_damages && !ret; i++)
		ret = list_touched(check, &check->damages[i], err);
	if (!ret && flags & SNAPDRV_CHECK_REPAIR)
		ret = repair_registry(check, err);
	if (!ret && flags & SNAPDRV_CHECK_REPAIR)
		ret = repair_blobs(check, err);
	if (!ret && flags & SNAPDRV_CHECK_REPAIR)
		ret = repair_trees(check, err);
	return ret;
}

int store_check(struct graph *graph, const struct snapdrv_check_options *options,
		struct snapdrv_check *ret_check, struct snapdrv_error *err)
{
	static const struct snapdrv_check_options no_options;
	__attribute__((cleanup(check_done))) struct check check = {
		.graph = graph,
		.options = options ? options : &no_options,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	int ret = graph_sweep(graph, NULL, err);

	if (!ret)
		ret = run(&check, err);
	if (ret)
		return fail_within(err, ret, "check");
	for (size_t i = 0; i < check.found.n_findings; i++)
		check.found.n_damaged += !check.found.findings[i].is_repaired;
	*ret_check = check.found;
	check.found = (struct snapdrv_check){0};
	return 0;
}
