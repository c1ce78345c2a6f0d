/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (jansson): documents from outside within limits, members with the type that was asked for. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "snapdrv.h"

#define JSON_DOCUMENT_MAX \
	(4u << 20) /* bytes of a manifest, index or config; registries stop here too */

DEFINE_CLEANUP(json, json_t, json_decref)
/** cleanup_json - for `json_t *` that owns its reference. */
#define cleanup_json __attribute__((cleanup(cleanup_json_at)))

/**
 * json_parse() - read a document from outside.
 * @data: @size bytes. More than JSON_DOCUMENT_MAX, duplicate keys, anything after the document, or
 *        nesting of more than 64 levels is refused.
 * @ret_json: the document, owned by the caller (json_decref). An object or an array.
 *
 * Return: 0, or -EBADMSG with REFUSED; the message starts with the fault, the caller puts the
 * document's name in front.
 */
int json_parse(const void *data, size_t size, json_t **ret_json, struct snapdrv_error *err);

/**
 * json_member_*() - a member of an object, with its type.
 * @object: a JSON object. Borrowed.
 *
 * An absent member and a null one are the same: nothing is found.
 *
 * Return: 1 found (borrowed from @object), 0 absent, or -EBADMSG with REFUSED when it has another type.
 */
int json_member_string(const json_t *object, const char *key, const char **ret_value,
		       struct snapdrv_error *err);
int json_member_object(const json_t *object, const char *key, json_t **ret_value,
		       struct snapdrv_error *err);
int json_member_array(const json_t *object, const char *key, json_t **ret_value,
		      struct snapdrv_error *err);
/** json_member_size() - the same for a whole number from 0 to 2^53. */
int json_member_size(const json_t *object, const char *key, uint64_t *ret_value,
		     struct snapdrv_error *err);

/** json_need() - turn "absent" into a refusal that names the key; other results pass. */
int json_need(int found, const char *key, struct snapdrv_error *err);

/**
 * json_text() - write a document. @flags: jansson's, e.g. JSON_COMPACT or JSON_INDENT(2).
 * Return: for free(3), or NULL with @err filled.
 */
char *json_text(const json_t *json, size_t flags, struct snapdrv_error *err);

#endif
