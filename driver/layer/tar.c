/* SPDX-License-Identifier: Apache-2.0 */
/* Reading tars with libarchive. */
#include "layer/tar.h"

#include <errno.h>
#include <locale.h>
#include <string.h>

#include "base/error.h"

struct archive *tar_new(struct snapdrv_error *err)
{
	struct archive *archive = archive_read_new();

	if (!archive) {
		fail_memory(err);
		return NULL;
	}
	/* mac-ext would make "._name" the attributes of "name". */
	if (archive_read_support_format_tar(archive) ||
	    archive_read_support_format_empty(archive) ||
	    archive_read_set_options(archive, "tar:!mac-ext")) {
		fail(err, SNAPDRV_FAILED, EINVAL, "libarchive: %s", archive_error_string(archive));
		archive_read_free(archive);
		return NULL;
	}
	return archive;
}

int tar_next(struct archive *archive, struct archive_entry **ret_entry)
{
	/* newlocale(3) of "C" allocates nothing and cannot fail. */
	locale_t saved = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
	int ret = archive_read_next_header(archive, ret_entry);

	uselocale(saved);
	if (ret == ARCHIVE_EOF)
		return 0;
	if (ret == ARCHIVE_OK)
		return 1;
	if (ret == ARCHIVE_WARN && strstr(archive_error_string(archive), "can't be converted"))
		return 1;
	return -1;
}
