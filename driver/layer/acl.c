/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX ACLs as the kernel's xattr: a version word, then entries in the order that the kernel wants. */
#include "layer/acl.h"

#include <archive.h>
#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define ENTRIES_MAX 1024

/* Tags in the kernel's order are also in the order of their values. */
static const struct {
	int archive_tag;
	uint16_t tag;
} tags[] = {
	{ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_USER_OBJ},   {ARCHIVE_ENTRY_ACL_USER, ACL_USER},
	{ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_GROUP_OBJ}, {ARCHIVE_ENTRY_ACL_GROUP, ACL_GROUP},
	{ARCHIVE_ENTRY_ACL_MASK, ACL_MASK},	      {ARCHIVE_ENTRY_ACL_OTHER, ACL_OTHER},
};

static int find_tag(int archive_tag, uint16_t *ret_tag)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (tags[i].archive_tag == archive_tag) {
			*ret_tag = tags[i].tag;
			return 1;
		}
	}
	return 0;
}

static int find_id(uint16_t tag, int id, const char *name, uint32_t *ret_id,
		   struct snapdrv_error *err)
{
	char *end;

	*ret_id = ACL_UNDEFINED_ID;
	if (tag != ACL_USER && tag != ACL_GROUP)
		return 0;
	*ret_id = (uint32_t)id;
	if (id != -1)
		return 0;
	errno = 0;
	*ret_id = (uint32_t)strtoul(name ? name : "", &end, 10);
	if (errno || !name || !*name || *end)
		return refuse(err, "ACL of %s, whose number is not told",
			      quote(name ? name : "").text);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct posix_acl_xattr_entry *one = a, *other = b;
	uint16_t tag = le16toh(one->e_tag), other_tag = le16toh(other->e_tag);
	uint32_t id = le32toh(one->e_id), other_id = le32toh(other->e_id);

	if (tag != other_tag)
		return tag < other_tag ? -1 : 1;
	return id < other_id ? -1 : id > other_id;
}

int acl_from_entry(struct archive_entry *entry, int type, char **ret_value, size_t *ret_size,
		   struct snapdrv_error *err)
{
	struct posix_acl_xattr_header *value;
	struct posix_acl_xattr_entry *entries;
	int entry_type, permset, archive_tag, id, ret, count = archive_entry_acl_reset(entry, type);
	const char *name;
	int n = 0;

	/* libarchive counts the three entries that the mode says anyway only when there are more. */
	if (!(archive_entry_acl_types(entry) & type) || !count)
		return 0;
	if (count > ENTRIES_MAX)
		return refuse(err, "more than %d ACL entries", ENTRIES_MAX);
	value = calloc(1, sizeof(*value) + (size_t)count * sizeof(*entries));
	if (!value)
		return fail_memory(err);
	value->a_version = htole32(POSIX_ACL_XATTR_VERSION);
	entries = (struct posix_acl_xattr_entry *)(value + 1);
	while (n < count && archive_entry_acl_next(entry, type, &entry_type, &permset, &archive_tag,
						   &id, &name) == ARCHIVE_OK) {
		uint16_t tag = 0;
		uint32_t number = ACL_UNDEFINED_ID;

		ret = find_tag(archive_tag, &tag) ? find_id(tag, id, name, &number, err)
						  : refuse(err, "ACL entry of an unknown kind");
		if (ret) {
			free(value);
			return ret;
		}
		entries[n].e_tag = htole16(tag);
		entries[n].e_perm = htole16((uint16_t)(permset & 7));
		entries[n++].e_id = htole32(number);
	}
	qsort(entries, (size_t)n, sizeof(*entries), compare);
	*ret_value = (char *)value;
	*ret_size = sizeof(*value) + (size_t)n * sizeof(*entries);
	return 1;
}
