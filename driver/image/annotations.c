/* SPDX-License-Identifier: Apache-2.0 */
/* Gathering annotations from an image config that is not trusted. */
#include "image/annotations.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* Orders to crun, runc, CRIU, Kata, CRI-O, podman and gVisor, from whoever starts a container. */
static const char *const order_prefixes[] = {
	"run.oci.",	      "org.systemd.property.", "org.criu.",
	"io.katacontainers.", "io.kubernetes.",	       "io.podman.",
	"io.container.",      "dev.gvisor.",
};

/* A member and the annotation that tells it. */
struct known {
	const char *member, *key;
};

static const struct known in_document[] = {
	{"os", "org.opencontainers.image.os"},
	{"architecture", "org.opencontainers.image.architecture"},
	{"variant", "org.opencontainers.image.variant"},
	{"os.version", "org.opencontainers.image.os.version"},
	{"author", "org.opencontainers.image.author"},
	{"created", "org.opencontainers.image.created"},
};

static const struct known in_config[] = {
	{"StopSignal", "org.opencontainers.image.stopSignal"},
};

/* An annotation of the image itself; a label of that name, which came first, wins. */
static int add(json_t *annotations, const char *key, const char *text, struct snapdrv_error *err)
{
	if (!*text || json_object_get(annotations, key))
		return 0;
	if (json_object_set_new(annotations, key, json_string(text)) < 0)
		return fail_memory(err);
	return 0;
}

static int is_order(const char *label)
{
	for (size_t i = 0; i < COUNT(order_prefixes); i++) {
		if (text_starts(label, order_prefixes[i]))
			return 1;
	}
	return 0;
}

static int add_labels(json_t *annotations, const json_t *config, struct snapdrv_error *err)
{
	json_t *labels, *value;
	const char *key;
	int ret = json_member_object(config, "Labels", &labels, err);

	if (ret != 1)
		return ret;
	json_object_foreach(labels, key, value) {
		if (!json_is_string(value))
			return refuse(err, "'Labels': %s is not a string", quote(key).text);
		if (!is_order(key) && json_object_set(annotations, key, value) < 0)
			return fail_memory(err);
	}
	return 0;
}

static int add_known(json_t *annotations, const json_t *from, const struct known *known,
		     size_t count, struct snapdrv_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *text = "";
		int ret = json_member_string(from, known[i].member, &text, err);

		if (ret >= 0)
			ret = add(annotations, known[i].key, text, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int join(struct bytes *list, const char *word, struct snapdrv_error *err)
{
	int ret = list->size ? bytes_add(list, ",", 1, err) : 0;

	return ret < 0 ? ret : bytes_add(list, word, strlen(word), err);
}

static int add_joined(json_t *annotations, const char *key, struct bytes *list,
		      struct snapdrv_error *err)
{
	int ret = bytes_add(list, "", 1, err);

	return ret < 0 ? ret : add(annotations, key, list->data, err);
}

static int add_features(json_t *annotations, const json_t *document, struct snapdrv_error *err)
{
	cleanup_bytes struct bytes list = {0};
	json_t *features, *feature;
	size_t i;
	int ret = json_member_array(document, "os.features", &features, err);

	if (ret != 1)
		return ret;
	json_array_foreach(features, i, feature) {
		if (!json_is_string(feature))
			return refuse(err, "'os.features' holds other than strings");
		ret = join(&list, json_string_value(feature), err);
		if (ret < 0)
			return ret;
	}
	return add_joined(annotations, "org.opencontainers.image.os.features", &list, err);
}

static int add_ports(json_t *annotations, const json_t *config, struct snapdrv_error *err)
{
	cleanup_bytes struct bytes list = {0};
	json_t *ports, *value;
	const char *port;
	int ret = json_member_object(config, "ExposedPorts", &ports, err);

	if (ret != 1)
		return ret;
	json_object_foreach(ports, port, value) {
		ret = join(&list, port, err);
		if (ret < 0)
			return ret;
	}
	return add_joined(annotations, "org.opencontainers.image.exposedPorts", &list, err);
}

int annotations_make(const json_t *document, const json_t *config, json_t **ret_json,
		     struct snapdrv_error *err)
{
	cleanup_json json_t *annotations = json_object();
	int ret = annotations ? add_labels(annotations, config, err) : fail_memory(err);

	if (!ret)
		ret = add_known(annotations, document, in_document, COUNT(in_document), err);
	if (!ret)
		ret = add_known(annotations, config, in_config, COUNT(in_config), err);
	if (!ret)
		ret = add_features(annotations, document, err);
	if (!ret)
		ret = add_ports(annotations, config, err);
	if (ret < 0)
		return ret;
	*ret_json = steal_ptr(&annotations);
	return 0;
}
