/* SPDX-License-Identifier: Apache-2.0 */
/* A source from within, and what is done with the members of an archive that comes by only once. */
#ifndef IMAGE_STREAM_H
#define IMAGE_STREAM_H

#include "image/source.h"

#define MEMBERS_MAX 200000 /* of an archive */
#define DOCUMENTS_MAX \
	(64u << 20) /* bytes of all documents that a source gives, each time that it does */

struct source_member {
	char *name;
	char *link; /* what it stands for, or NULL */
	int is_file;
	uint64_t offset;
	uint64_t size;
	char *text;	      /* of a stream: a document, with a NUL behind it */
	struct staged staged; /* of a stream: a layer */
	int is_taken;	      /* of a stream: `staged` is in use */
	char *refusal;	      /* of a stream: why this layer cannot be used */
};

struct source {
	struct intake *intake;
	char *name;
	int fd; /* the directory or the archive */
	int owns_fd;
	int is_dir;
	int is_stream;
	struct fetcher *fetcher; /* of a registry, which has nothing of the rest */
	struct source_member *members;
	size_t n_members;
	size_t held;  /* bytes of a stream's documents */
	size_t given; /* bytes of documents that were asked for */
};

/** source_add() - one more member. Return: it, or NULL with @err filled. */
struct source_member *source_add(struct source *source, const char *name, const char *link,
				 struct snapdrv_error *err);

/** source_sort() - make members findable. */
void source_sort(struct source *source);

/** source_find() - a member by name, through links. Return: 1 found, 0 not, or negative. */
int source_find(struct source *source, const char *name, struct source_member **ret_member,
		struct snapdrv_error *err);

/**
 * stream_take() - take a member of a stream as it comes by: a document into memory, a layer into the
 * session, unpacked where the backend can do that before it knows what lies below.
 */
int stream_take(struct source *source, struct source_member *member,
		const struct layer_input *input, struct snapdrv_error *err);

/** stream_place() - where a layer of a stream is now. As source_layer(). */
int stream_place(struct source *source, struct source_member *member, struct layer_place *ret_place,
		 struct snapdrv_error *err);

#endif
