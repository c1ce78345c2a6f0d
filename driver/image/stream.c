/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that come by only once. Their index stands at the end, so that nobody knows yet what a blob
 * is or what it belongs over: what looks like a document is kept in memory, and what does not is taken
 * for a layer and unpacked at once. Layers that nobody turns out to want go away with the source.
 */
#include "image/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "store/content.h"
#include "store/lock.h"

#define LINKS_MAX 16
#define PEEK_SIZE 512

struct source_member *source_add(struct source *source, const char *name, const char *link,
				 struct snapdrv_error *err)
{
	struct source_member *members, *member;

	if (source->n_members == MEMBERS_MAX) {
		refuse(err, "more than %d members", MEMBERS_MAX);
		return NULL;
	}
	/* Doubling: the count is a power of two when the array is full. */
	if (!(source->n_members & (source->n_members - 1))) {
		size_t room = source->n_members ? source->n_members * 2 : 1;

		members = reallocarray(source->members, room, sizeof(*members));
		if (!members) {
			fail_memory(err);
			return NULL;
		}
		source->members = members;
	}
	member = &source->members[source->n_members];
	*member = (struct source_member){.name = text_dup(name, err),
					 .link = link ? text_dup(link, err) : NULL};
	if (!member->name || (link && !member->link)) {
		free(member->name);
		return NULL;
	}
	source->n_members++;
	return member;
}

static int compare(const void *a, const void *b)
{
	const struct source_member *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	/* Of two members with one name the later one counts: it comes first. */
	return order ? order : (one->offset < other->offset) - (one->offset > other->offset);
}

void source_sort(struct source *source)
{
	if (source->n_members)
		qsort(source->members, source->n_members, sizeof(*source->members), compare);
}

static struct source_member *find_name(struct source *source, const char *name)
{
	size_t low = 0, high = source->n_members;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(source->members[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == source->n_members || strcmp(source->members[low].name, name))
		return NULL;
	return &source->members[low];
}

/* What a link in the archive means, as text: `../` leaves a directory of the archive, nothing else. */
static char *resolve_link(const char *name, const char *link, struct snapdrv_error *err)
{
	const char *slash = strrchr(name, '/');
	size_t keep = slash ? (size_t)(slash - name) : 0;

	while (text_starts(link, "../")) {
		link += 3;
		while (keep && name[--keep] != '/')
			;
	}
	return text_format(err, "%.*s%s%s", (int)keep, name, keep ? "/" : "", link);
}

int source_find(struct source *source, const char *name, struct source_member **ret_member,
		struct snapdrv_error *err)
{
	struct source_member *member = find_name(source, name);

	for (int links = 0; member && member->link; links++) {
		cleanup_free char *target = NULL;

		if (links == LINKS_MAX)
			return refuse(err, "%s: too many links", quote(name).text);
		/* A hard link names its target from the root, a symlink from where it stands. */
		target = resolve_link(member->name, member->link, err);
		if (!target)
			return -ENOMEM;
		if (find_name(source, target))
			member = find_name(source, target);
		else
			member = find_name(source, member->link);
	}
	if (!member)
		return 0;
	if (!member->is_file)
		return refuse(err, "%s is not a regular file", quote(name).text);
	*ret_member = member;
	return 1;
}

/* An input whose first bytes have been looked at already. */
struct peeked {
	struct layer_input rest;
	char bytes[PEEK_SIZE];
	size_t at;
	size_t size;
};

static ssize_t read_peeked(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct peeked *peeked = context;

	if (peeked->at == peeked->size)
		return peeked->rest.read(peeked->rest.context, data, size, err);
	if (size > peeked->size - peeked->at)
		size = peeked->size - peeked->at;
	memcpy(data, peeked->bytes + peeked->at, size);
	peeked->at += size;
	return (ssize_t)size;
}

static int is_document(const char *name, const struct peeked *peeked)
{
	static const char *const names[] = {"oci-layout", "repositories", "VERSION", "json", NULL};
	const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
	size_t skip;

	for (size_t i = 0; names[i]; i++) {
		if (!strcmp(last, names[i]))
			return 1;
	}
	if (text_ends(name, ".json"))
		return 1;
	/* A tar may start with a file called `{`, but then it says "ustar" further on. */
	if (peeked->size == PEEK_SIZE && !memcmp(peeked->bytes + 257, "ustar", 5))
		return 0;
	for (skip = 0; skip < peeked->size && strchr(" \t\r\n", peeked->bytes[skip]); skip++)
		;
	return skip < peeked->size && (peeked->bytes[skip] == '{' || peeked->bytes[skip] == '[');
}

static int take_document(struct source *source, struct source_member *member,
			 const struct layer_input *input, struct snapdrv_error *err)
{
	ssize_t got;

	if (member->size > JSON_DOCUMENT_MAX) {
		member->refusal = text_format(err, "more than %u bytes", JSON_DOCUMENT_MAX);
		return member->refusal ? 0 : -ENOMEM;
	}
	source->held += member->size;
	if (source->held > DOCUMENTS_MAX)
		return refuse(err, "more than %u bytes of documents", DOCUMENTS_MAX);
	member->text = calloc(1, member->size + 1);
	if (!member->text)
		return fail_memory(err);
	got = input_fill(input, member->text, member->size, err);
	return got < 0 ? (int)got : 0;
}

/* The digest that a layout's blob is named by. 1 found, 0 the member is called otherwise. */
static int named_digest(const char *name, struct digest *ret_digest)
{
	cleanup_free char *text = NULL;

	if (!text_starts(name, "blobs/sha256/"))
		return 0;
	text = text_format(NULL, "sha256:%s", name + strlen("blobs/sha256/"));
	return text && !digest_parse(text, ret_digest, NULL);
}

/*
 * Whether a layer has to be unpacked now: not when the store keeps the blob, nor when another process is
 * at it. That process is waited for later, with all layers of the image known and no lock held.
 */
static int is_wanted(struct source *source, const char *name, int *ret_only_blob,
		     struct snapdrv_error *err)
{
	struct store *store = &source->intake->graph->store;
	struct digest digest;
	int ret;

	*ret_only_blob = !source->intake->graph->backend.ops->is_layered;
	if (!named_digest(name, &digest))
		return 1;
	ret = content_has(store, &digest, err);
	if (ret)
		return ret < 0 ? ret : 0;
	if (*ret_only_blob)
		return 1;
	ret = lock_layer_try(store, &digest, err);
	*ret_only_blob = !ret;
	return ret < 0 ? ret : 1;
}

struct take {
	struct source *source;
	struct source_member *member;
	const struct layer_input *input;
	struct snapdrv_error err;
	int ret;
};

static void *take_layer(void *arg)
{
	static const struct parents_source no_parents;
	struct take *take = arg;
	struct intake *intake = take->source->intake;

	take->ret = stage_unpack(intake, take->input, take->member->name, take->member->size,
				 no_parents, -1, intake_keeps_blobs(intake), &take->member->staged,
				 &take->err);
	return NULL;
}

int stream_take(struct source *source, struct source_member *member,
		const struct layer_input *input, struct snapdrv_error *err)
{
	struct peeked peeked = {.rest = *input};
	const struct layer_input whole = {.read = read_peeked, .context = &peeked};
	struct take take = {.source = source, .member = member, .input = &whole};
	ssize_t got = input_fill(input, peeked.bytes, sizeof(peeked.bytes), err);
	int only_blob, ret;

	if (got < 0)
		return (int)got;
	peeked.size = (size_t)got;
	if (is_document(member->name, &peeked))
		return take_document(source, member, &whole, err);
	ret = is_wanted(source, member->name, &only_blob, err);
	if (ret <= 0)
		return ret;
	member->is_taken = 1;
	if (only_blob)
		return stage_blob(source->intake, &whole, 1, &member->staged, err);
	ret = run_threads(1, take_layer, &take, err);
	if (ret || !take.ret)
		return ret;
	if (take.err.code != SNAPDRV_REFUSED)
		return fail(err, take.err.code, take.err.errnum, "layer %s: %s",
			    quote(member->name).text, take.err.message);
	/* Whose layer it is will be known at the end, and whether anybody wants it. */
	member->refusal = text_dup(take.err.message, err);
	return member->refusal ? 0 : -ENOMEM;
}

int stream_place(struct source *source, struct source_member *member, struct layer_place *ret_place,
		 struct snapdrv_error *err)
{
	struct store *store = &source->intake->graph->store;
	struct layer_place place = {.fd = -1};
	struct digest digest;
	struct stat st;

	if (member->text)
		return refuse(err, "%s is not a layer", quote(member->name).text);
	if (member->refusal)
		return refuse(err, "%s", member->refusal);
	if (member->is_taken)
		place.staged = &member->staged;
	if (place.staged && place.staged->has_blob)
		place.fd =
			openat(store->session_fd, member->staged.blob.text, O_RDONLY | O_CLOEXEC);
	else if (!place.staged && named_digest(member->name, &digest))
		place.fd = content_open(store, &digest, err);
	if (place.fd < -1 && place.fd != -ENOENT)
		return place.fd;
	if (place.fd < 0 && place.staged && place.staged->has_blob)
		return fail_errno(err, "open a blob");
	place.owns_fd = place.fd >= 0;
	if (!place.staged && place.fd < 0)
		return refuse(err, "%s is gone from the store", quote(member->name).text);
	if (place.owns_fd && fstat(place.fd, &st)) {
		int ret = fail_errno(err, "stat a blob");

		layer_place_done(&place);
		return ret;
	}
	place.size = place.owns_fd ? (uint64_t)st.st_size : 0;
	place.is_whole_file = place.owns_fd;
	*ret_place = place;
	return 1;
}
