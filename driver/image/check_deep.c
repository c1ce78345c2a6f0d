/* SPDX-License-Identifier: Apache-2.0 */
/* The deep check: all layers and blobs are read, by as many threads as there are processors for a load. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/check.h"
#include "image/stage.h"
#include "snapshot/inventory.h"
#include "store/content.h"

#define THREADS 2
#define FILES_MAX 100000 /* damaged files of one layer that are kept in mind */

/* A layer's tree or a blob that is to be read. */
struct reading {
	int64_t tree; /* 0: a blob */
	char *name;
	struct tree_ref ref;
	struct tree_stack parents;
	uint64_t size;
	int is_unrecorded;
};

struct readings {
	struct check *check;
	struct reading *items;
	size_t count;
	size_t next;
	uint64_t total;
	int ret;
	struct snapdrv_error err;
};

static void readings_done(struct readings *readings)
{
	for (size_t i = 0; i < readings->count; i++) {
		free(readings->items[i].name);
		stack_done(&readings->items[i].parents);
	}
	free(readings->items);
}

static struct reading *add_reading(struct readings *readings, const char *name, uint64_t size,
				   struct snapdrv_error *err)
{
	struct reading *grown = reallocarray(readings->items, readings->count + 1, sizeof(*grown)),
		       *reading;

	if (!grown) {
		fail_memory(err);
		return NULL;
	}
	readings->items = grown;
	reading = &grown[readings->count];
	*reading = (struct reading){.name = text_dup(name, err), .size = size};
	if (!reading->name)
		return NULL;
	readings->count++;
	readings->total += size;
	return reading;
}

static int add_tree(struct readings *readings, struct query *query, struct snapdrv_error *err)
{
	struct graph *graph = readings->check->graph;
	const struct tree_record record = {.id = query_int(query, 0),
					   .is_active = (int)query_int(query, 1)};
	int64_t parent_id = query_int(query, 2);
	struct snapshot parent;
	struct reading *reading;
	int found = 1;

	if (check_damaged_tree(readings->check, record.id))
		return 0;
	reading = add_reading(readings, query_text(query, 4), (uint64_t)query_int(query, 3), err);
	if (!reading)
		return -ENOMEM;
	reading->tree = record.id;
	reading->ref = tree_ref_of(&record);
	if (parent_id)
		found = snapshot_look(graph, parent_id, &parent, err);
	/* Removed a moment ago, with its parent: reading it will tell. */
	if (found != 1 || !parent_id)
		return found < 0 ? found : 0;
	return snapshot_stack(graph, &parent, &reading->parents, err);
}

static int list_trees(struct readings *readings, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(readings->check->graph->store.db, err,
			 "SELECT tree.id, in_active, parent, bytes, " CHECK_LAYER_NAME
			 " FROM tree JOIN snapshot ON snapshot.id = (SELECT min(id) FROM snapshot "
			 "WHERE tree ="
			 " tree.id) WHERE kind = 'c' AND NOT removed ORDER BY bytes DESC",
			 "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = add_tree(readings, query, err);
	return ret;
}

static int list_blobs(struct readings *readings, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(readings->check->graph->store.db, err,
			 "SELECT digest, size FROM blob ORDER BY size DESC", "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct digest digest;

		ret = 0;
		if (!digest_parse(query_text(query, 0), &digest, NULL) &&
		    !check_damaged_blob(readings->check, &digest) &&
		    !add_reading(readings, query_text(query, 0), (uint64_t)query_int(query, 1),
				 err))
			ret = -ENOMEM;
	}
	return ret;
}

/* ---- reading one -------------------------------------------------------------------------- */

/* The differences of one layer. */
struct differences {
	size_t count;
	char first[300];
	struct strings files;
};

static void note_difference(void *arg, const char *path, const char *what)
{
	struct differences *differences = arg;

	if (!differences->count++)
		snprintf(differences->first, sizeof(differences->first), "%s %s",
			 *path ? quote(path).text : "its root", what);
	if ((!strcmp(what, "has another content") || !strcmp(what, "cannot be read")) &&
	    differences->files.count < FILES_MAX)
		strings_add(&differences->files, path, NULL);
}

/* What was removed while it was read is no finding. With the lock. */
static int is_removed(struct check *check, const struct reading *reading)
{
	struct tree_record record;
	struct digest digest;

	if (reading->tree)
		return tree_look(check->graph, reading->tree, &record, NULL) == 0;
	return digest_parse(reading->name, &digest, NULL) ||
	       content_has(&check->graph->store, &digest, NULL) == 0;
}

static int tell_tree(struct check *check, struct reading *reading, struct differences *differences,
		     int ret, const struct snapdrv_error *why, struct snapdrv_error *err)
{
	reading->is_unrecorded = !ret;
	if (ret < 0)
		return check_damage_tree(check, reading->tree, reading->name, 0,
					 &differences->files, err, "%s", why->message);
	if (!differences->count)
		return 0;
	if (differences->count == 1)
		return check_damage_tree(check, reading->tree, reading->name, 0,
					 &differences->files, err, "%s", differences->first);
	return check_damage_tree(check, reading->tree, reading->name, 0, &differences->files, err,
				 "%zu entries are not as they were: %s", differences->count,
				 differences->first);
}

static int read_tree(struct check *check, struct reading *reading, struct snapdrv_error *err)
{
	struct differences differences = {0};
	struct snapdrv_error why;
	int ret = tree_audit(check->graph, &reading->ref, &reading->parents, note_difference,
			     &differences, &why);

	pthread_mutex_lock(&check->lock);
	check->found.bytes += reading->size;
	if (errno_is_passing(-ret))
		ret = fail_within(err, fail_as(err, &why), "layer %s", reading->name);
	else if (is_removed(check, reading))
		ret = 0;
	else
		ret = tell_tree(check, reading, &differences, ret, &why, err);
	pthread_mutex_unlock(&check->lock);
	strings_done(&differences.files);
	return ret;
}

static int read_blob(struct check *check, const struct reading *reading, struct snapdrv_error *err)
{
	struct snapdrv_error why = {0};
	struct digest digest;
	int ret = digest_parse(reading->name, &digest, err);

	if (!ret)
		ret = content_verify(&check->graph->store, &digest, &why);
	pthread_mutex_lock(&check->lock);
	check->found.bytes += reading->size;
	if (errno_is_passing(-ret))
		ret = fail_as(err, &why);
	else if (ret == 1 || is_removed(check, reading))
		ret = 0;
	else if (!ret)
		ret = check_damage_blob(check, reading->name, err,
					"its content has another digest");
	else
		ret = check_damage_blob(check, reading->name, err, "%s", why.message);
	pthread_mutex_unlock(&check->lock);
	return ret;
}

static void tell_progress(const struct readings *readings)
{
	const struct check *check = readings->check;
	const struct snapdrv_progress news = {"check", check->found.bytes, readings->total};

	if (check->options->progress)
		check->options->progress(check->options->progress_arg, &news);
}

static void *work(void *arg)
{
	struct readings *readings = arg;
	struct check *check = readings->check;

	pthread_mutex_lock(&check->lock);
	while (!readings->ret && readings->next < readings->count) {
		struct reading *reading = &readings->items[readings->next++];
		struct snapdrv_error err;
		int ret;

		pthread_mutex_unlock(&check->lock);
		ret = reading->tree ? read_tree(check, reading, &err)
				    : read_blob(check, reading, &err);
		pthread_mutex_lock(&check->lock);
		tell_progress(readings);
		if (ret && !readings->ret) {
			readings->ret = ret;
			readings->err = err;
		}
	}
	pthread_mutex_unlock(&check->lock);
	return NULL;
}

/* What is as it is now is what later checks compare with: nothing better is known. */
static int count_unrecorded(struct readings *readings, struct snapdrv_error *err)
{
	struct check *check = readings->check;

	for (size_t i = 0; i < readings->count; i++) {
		struct reading *reading = &readings->items[i];
		int ret = 0;

		if (!reading->is_unrecorded)
			continue;
		check->found.unrecorded++;
		if (check->options->flags & SNAPDRV_CHECK_REPAIR)
			ret = tree_list(check->graph, &reading->ref, &reading->parents, err);
		if (ret && !is_removed(check, reading))
			return ret;
	}
	return 0;
}

int check_contents(struct check *check, struct snapdrv_error *err)
{
	__attribute__((cleanup(readings_done))) struct readings readings = {.check = check};
	int ret = list_trees(&readings, err);

	if (!ret)
		ret = list_blobs(&readings, err);
	if (!ret)
		ret = run_threads(THREADS, work, &readings, err);
	if (ret)
		return ret;
	if (readings.ret)
		return fail(err, readings.err.code, readings.err.errnum, "%s",
			    readings.err.message);
	return count_unrecorded(&readings, err);
}
