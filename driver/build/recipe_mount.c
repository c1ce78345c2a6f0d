/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount: its fields, separated by commas. */
#include "build/recipe_parts.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

/* enum field - what a mount can be told; as bits, what each type of mount takes. */
enum field {
	FIELD_TARGET = 1 << 0,
	FIELD_SOURCE = 1 << 1,
	FIELD_FROM = 1 << 2,
	FIELD_ID = 1 << 3,
	FIELD_ENV = 1 << 4,
	FIELD_MODE = 1 << 5,
	FIELD_UID = 1 << 6,
	FIELD_GID = 1 << 7,
	FIELD_SIZE = 1 << 8,
	FIELD_READ_ONLY = 1 << 9,
	FIELD_WRITABLE = 1 << 10,
	FIELD_REQUIRED = 1 << 11,
	FIELD_SHARING = 1 << 12,
	FIELD_TYPE = 1 << 13
};

static const struct {
	const char *name;
	enum field field;
} fields[] = {
	{"type", FIELD_TYPE},
	{"target", FIELD_TARGET},
	{"dst", FIELD_TARGET},
	{"destination", FIELD_TARGET},
	{"source", FIELD_SOURCE},
	{"src", FIELD_SOURCE},
	{"from", FIELD_FROM},
	{"id", FIELD_ID},
	{"env", FIELD_ENV},
	{"mode", FIELD_MODE},
	{"uid", FIELD_UID},
	{"gid", FIELD_GID},
	{"size", FIELD_SIZE},
	{"ro", FIELD_READ_ONLY},
	{"readonly", FIELD_READ_ONLY},
	{"rw", FIELD_WRITABLE},
	{"readwrite", FIELD_WRITABLE},
	{"required", FIELD_REQUIRED},
	{"sharing", FIELD_SHARING},
};

#define FIELD_SWITCHES (FIELD_READ_ONLY | FIELD_WRITABLE | FIELD_REQUIRED)
#define FIELD_OWNER (FIELD_MODE | FIELD_UID | FIELD_GID)

static const struct {
	const char *name;
	enum recipe_mount_type type;
	unsigned takes, needs;
} types[] = {
	{"bind", RECIPE_MOUNT_BIND,
	 FIELD_TARGET | FIELD_SOURCE | FIELD_FROM | FIELD_READ_ONLY | FIELD_WRITABLE, FIELD_TARGET},
	{"cache", RECIPE_MOUNT_CACHE,
	 FIELD_TARGET | FIELD_SOURCE | FIELD_FROM | FIELD_ID | FIELD_OWNER | FIELD_READ_ONLY |
		 FIELD_WRITABLE | FIELD_SHARING,
	 FIELD_TARGET},
	{"tmpfs", RECIPE_MOUNT_TMPFS, FIELD_TARGET | FIELD_SIZE, FIELD_TARGET},
	{"secret", RECIPE_MOUNT_SECRET,
	 FIELD_TARGET | FIELD_SOURCE | FIELD_ID | FIELD_ENV | FIELD_OWNER | FIELD_REQUIRED |
		 FIELD_READ_ONLY,
	 0},
};

/* A field, `NAME` or `NAME=VALUE`; in double quotes, where two are one, it may have commas. */
static int next_field(const char **at, char **ret_field, struct snapdrv_error *err)
{
	const char *from = *at;
	char *field, *to;

	if (!*from)
		return 0;
	field = to = malloc(strlen(from) + 1);
	if (!field)
		return fail_memory(err);
	if (*from != '"') {
		while (*from && *from != ',')
			*to++ = *from++;
	} else {
		for (from++; *from && (*from != '"' || *++from == '"'); from++)
			*to++ = *from;
	}
	*to = '\0';
	*at = from + (*from == ',');
	*ret_field = field;
	return 1;
}

static int set_size(struct recipe_mount *mount, const char *value, struct snapdrv_error *err)
{
	static const char units[] = "bkmgt";
	cleanup_free char *digits = text_dup(value, err);
	const char *unit = value + strspn(value, "0123456789");
	unsigned shift = 0;
	int64_t number;

	if (!digits)
		return -ENOMEM;
	digits[unit - value] = '\0';
	if (*unit) {
		const char *found = strchr(units, *unit | 0x20);
		const char *rest = unit + 1;

		/* k, kb and kib are the same, 1024, as docker reads them. */
		if (!found || (*rest && strcasecmp(rest, "b") && strcasecmp(rest, "ib")) ||
		    (found == units && *rest))
			return refuse(err, "size=%s is no size", quote(value).text);
		shift = (unsigned)(found - units) * 10;
	}
	if (!recipe_number(digits, 10, INT64_MAX >> shift, &number))
		return refuse(err, "size=%s is no size", quote(value).text);
	mount->size = (uint64_t)number << shift;
	return 0;
}

static int set_number(int64_t *to, const char *name, const char *value, int base, int64_t max,
		      struct snapdrv_error *err)
{
	return recipe_number(value, base, max, to)
		       ? 0
		       : refuse(err, "%s=%s is no number that can be", name, quote(value).text);
}

static int set_switch(int *to, const char *name, const char *value, struct snapdrv_error *err)
{
	static const char *const yes[] = {"", "1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		if (!strcmp(value, yes[i]))
			return *to = 1, 0;
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		if (!strcmp(value, no[i]))
			return *to = 0, 0;
	}
	return refuse(err, "%s=%s is neither true nor false", name, quote(value).text);
}

static int set_sharing(struct recipe_mount *mount, const char *value, struct snapdrv_error *err)
{
	if (!strcasecmp(value, "shared"))
		mount->sharing = RECIPE_SHARED;
	else if (!strcasecmp(value, "private"))
		mount->sharing = RECIPE_PRIVATE;
	else if (!strcasecmp(value, "locked"))
		mount->sharing = RECIPE_LOCKED;
	else
		return refuse(err, "sharing=%s is none of shared, private, locked",
			      quote(value).text);
	return 0;
}

static int set_text(char **to, const char *value, struct snapdrv_error *err)
{
	free(*to);
	*to = text_dup(value, err);
	return *to ? 0 : -ENOMEM;
}

static int set_field(struct recipe_mount *mount, enum field field, const char *name,
		     const char *value, struct snapdrv_error *err)
{
	int writable;

	switch (field) {
	case FIELD_TARGET:
		return set_text(&mount->target, value, err);
	case FIELD_SOURCE:
		return set_text(&mount->source, value, err);
	case FIELD_FROM:
		return set_text(&mount->from, value, err);
	case FIELD_ID:
		return set_text(&mount->id, value, err);
	case FIELD_ENV:
		return set_text(&mount->env, value, err);
	case FIELD_MODE:
		return set_number(&mount->mode, name, value, 8, 07777, err);
	case FIELD_UID:
		return set_number(&mount->uid, name, value, 10, UINT32_MAX - 1, err);
	case FIELD_GID:
		return set_number(&mount->gid, name, value, 10, UINT32_MAX - 1, err);
	case FIELD_SIZE:
		return set_size(mount, value, err);
	case FIELD_READ_ONLY:
		if (set_switch(&mount->read_only, name, value, err))
			return -EBADMSG;
		mount->writable = !mount->read_only;
		return 0;
	case FIELD_WRITABLE:
		if (set_switch(&writable, name, value, err))
			return -EBADMSG;
		mount->writable = writable;
		mount->read_only = !writable;
		return 0;
	case FIELD_REQUIRED:
		return set_switch(&mount->required, name, value, err);
	case FIELD_SHARING:
		return set_sharing(mount, value, err);
	default:
		return 0;
	}
}

/* The type comes first, wherever it is written: it says which fields there are. */
static int find_type(const char *text, size_t *ret_type, struct snapdrv_error *err)
{
	char *field;
	int ret;

	*ret_type = 0;
	while ((ret = next_field(&text, &field, err)) == 1) {
		cleanup_free char *owned = field;
		size_t i = 0;

		if (strncasecmp(owned, "type=", 5))
			continue;
		if (!strcmp(owned + 5, "ssh"))
			return refuse(err, "--mount=type=ssh: there is no agent to forward");
		while (i < sizeof(types) / sizeof(*types) && strcmp(types[i].name, owned + 5))
			i++;
		if (i == sizeof(types) / sizeof(*types))
			return refuse(err, "--mount: the type %s is not known",
				      quote(owned + 5).text);
		*ret_type = i;
	}
	return ret;
}

static int read_field(struct recipe_mount *mount, size_t type, char *text, unsigned *seen,
		      struct snapdrv_error *err)
{
	char *equals = strchr(text, '=');
	const char *value = equals ? equals + 1 : "";
	size_t i = 0;

	if (equals)
		*equals = '\0';
	while (i < sizeof(fields) / sizeof(*fields) && strcasecmp(fields[i].name, text))
		i++;
	if (i == sizeof(fields) / sizeof(*fields))
		return refuse(err, "the field %s is not known", quote(text).text);
	if (!(fields[i].field & (types[type].takes | FIELD_TYPE)))
		return refuse(err, "type=%s takes no %s", types[type].name, fields[i].name);
	if (!(fields[i].field & FIELD_SWITCHES) && !*value)
		return refuse(err, "%s has no value", fields[i].name);
	*seen |= fields[i].field;
	return set_field(mount, fields[i].field, fields[i].name, value, err);
}

static int check_mount(const struct recipe_mount *mount, size_t type, unsigned seen,
		       struct snapdrv_error *err)
{
	if (types[type].needs & ~seen)
		return refuse(err, "type=%s needs a target", types[type].name);
	if (mount->target && !strcmp(mount->target, "/"))
		return refuse(err, "the target is the root");
	if (mount->from && strchr(mount->from, '$'))
		return refuse(err, "from= takes no variables: give the stage a name");
	if (mount->type == RECIPE_MOUNT_SECRET &&
	    !(seen & (FIELD_ID | FIELD_SOURCE | FIELD_TARGET | FIELD_ENV)))
		return refuse(err, "type=secret needs an id");
	return 0;
}

int recipe_mount(const char *text, struct recipe_step *step, struct snapdrv_error *err)
{
	struct recipe_mount *mounts, *mount;
	unsigned seen = 0;
	size_t type;
	char *field;
	int ret = find_type(text, &type, err);

	if (ret)
		return ret;
	mounts = reallocarray(step->mounts, step->n_mounts + 1, sizeof(*mounts));
	if (!mounts)
		return fail_memory(err);
	step->mounts = mounts;
	mount = &mounts[step->n_mounts++];
	*mount = (struct recipe_mount){.type = types[type].type, .mode = -1, .uid = -1, .gid = -1};
	mount->read_only = mount->type == RECIPE_MOUNT_BIND;
	while ((ret = next_field(&text, &field, err)) == 1) {
		ret = read_field(mount, type, field, &seen, err);
		free(field);
		if (ret)
			break;
	}
	if (!ret)
		ret = check_mount(mount, type, seen, err);
	return ret ? fail_within(err, ret, "--mount") : 0;
}
