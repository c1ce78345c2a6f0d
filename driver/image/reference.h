/* SPDX-License-Identifier: Apache-2.0 */
/* Image names as users of docker write them: [registry/]name[:tag][@digest]. */
#ifndef IMAGE_REFERENCE_H
#define IMAGE_REFERENCE_H

#include "base/digest.h"
#include "snapdrv.h"

/** struct reference - a name in its parts; each owned, or NULL where it is absent. */
struct reference {
	char *registry;	  /* "docker.io", "localhost:5000"; never NULL */
	char *repository; /* "library/nginx"; never NULL */
	char *tag;	  /* "latest"; NULL only when there is a digest and no tag was written */
	char *digest;	  /* "sha256:...", or NULL */
};

/**
 * reference_parse() - read a name by the rules of the distribution project's reference grammar.
 * @text: from outside. The first part is a registry when it holds `.` or `:` or is `localhost`;
 *        `docker.io` is the registry else, and `library/` is added there to a name of one part;
 *        `index.docker.io` is docker.io. Tag `latest` is added where there is no tag and no digest.
 *        Upper-case repositories, empty parts, tags of more than 128 bytes, repositories of more than
 *        255 bytes, digests that are not sha256, and 64 hex digits (an image ID) are no names.
 * @ret_reference: for reference_done().
 *
 * Return: 0, or -EINVAL with USAGE.
 */
int reference_parse(const char *text, struct reference *ret_reference, struct snapdrv_error *err);

/**
 * reference_format() - the full name; reference_parse() of it gives the same again.
 * Return: for free(3), or NULL with @err filled.
 */
char *reference_format(const struct reference *reference, struct snapdrv_error *err);

/** reference_normalize() - parse and format in one. Return: 0, or as reference_parse(). */
int reference_normalize(const char *text, char **ret_full, struct snapdrv_error *err);

/**
 * reference_check_pin() - whether an image may have a name.
 * @full: by reference_format(). @digest: of the image's manifest.
 *
 * NAME@DIGEST says what the image is: whoever asks for it gets no other one. Only pulling may give another
 * digest's name, an index's, since it has seen that the one leads to the other.
 *
 * Return: 0, or -EINVAL with USAGE when the name is pinned to another digest.
 */
int reference_check_pin(const char *full, const struct digest_text *digest,
			struct snapdrv_error *err);

/** reference_done() - free the parts. */
void reference_done(struct reference *reference);

#define cleanup_reference __attribute__((cleanup(reference_done)))

#endif
