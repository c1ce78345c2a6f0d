/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a build's context: a directory, a tar, or nothing but a Dockerfile. */
#include "build/context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/recipe.h"
#include "build/unpack.h"
#include "kernel/file.h"
#include "kernel/resolve.h"
#include "layer/sniff.h"

/* In a context, by their rank; docker's name, podman's, and one that docker still takes. */
static const char *const recipe_names[] = {"Dockerfile", "Containerfile", "dockerfile"};
static const char *const ignore_names[] = {".dockerignore", ".containerignore"};

/* What is being found out. */
struct opening {
	struct store *store;
	int input_fd, cancel_fd;
	const char *dockerfile; /* -f, or NULL */
	struct context context;
	int is_tar;
	char *text;
	size_t size;
	char *file;
};

static void opening_done(struct opening *opening)
{
	context_done(&opening->context);
	free(opening->text);
	free(opening->file);
}

/* The first bytes are held already; the rest comes from the descriptor. */
struct begun {
	int fd;
	unsigned char start[SNIFF_SIZE];
	size_t at, size;
};

static ssize_t read_begun(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct begun *begun = context;
	size_t held = begun->size - begun->at;

	if (!held)
		return file_read_some(begun->fd, data, size, "the context", err);
	if (size > held)
		size = held;
	memcpy(data, begun->start + begun->at, size);
	begun->at += size;
	return (ssize_t)size;
}

static int read_text(const struct layer_input *input, char **ret_text, size_t *ret_size,
		     struct snapdrv_error *err)
{
	cleanup_free char *text = malloc(RECIPE_SIZE_MAX + 1);
	ssize_t size = text ? input_fill(input, text, RECIPE_SIZE_MAX + 1, err) : fail_memory(err);

	if (size < 0)
		return (int)size;
	if (size > RECIPE_SIZE_MAX)
		return refuse(err, "longer than %d bytes", RECIPE_SIZE_MAX);
	text[size] = '\0';
	*ret_text = steal_ptr(&text);
	*ret_size = (size_t)size;
	return 0;
}

static int name_file(struct opening *opening, const char *name, struct snapdrv_error *err)
{
	opening->file = text_dup(name, err);
	return opening->file ? 0 : -ENOMEM;
}

static int read_dockerfile(struct opening *opening, const struct layer_input *input,
			   struct snapdrv_error *err)
{
	int ret = read_text(input, &opening->text, &opening->size, err);

	if (ret)
		return fail_within(err, ret, "Dockerfile from the input");
	return name_file(opening, "Dockerfile", err);
}

static int slurp(struct opening *opening, int fd, const char *name, struct snapdrv_error *err)
{
	const int cancel_fds[] = {opening->cancel_fd, -1};
	int ret = file_slurp_named(fd, RECIPE_SIZE_MAX, cancel_fds, &opening->text, &opening->size,
				   err);

	return ret ? fail_within(err, ret, "%s", quote(name).text) : name_file(opening, name, err);
}

/*
 * A device, which a tar may bring, is not opened, nor is a FIFO: the descriptor of what is no regular file has O_PATH,
 * and file_slurp() refuses it. @opened: with O_PATH; closed, unless it is what is returned.
 */
static int open_regular(int opened)
{
	cleanup_fd int path_fd = opened;
	int fd = path_fd < 0 ? path_fd : file_open_regular(path_fd);

	return path_fd >= 0 && fd == -EINVAL ? steal_fd(&path_fd) : fd;
}

/* In the context, from where no symlink leads out. Return: a descriptor, or a negative errno value. */
static int open_inside(const struct opening *opening, const char *name)
{
	return open_regular(resolve_open(opening->context.fd, name, O_PATH));
}

/* Return: 1 the ignore file is there and was read, 0 there is none, or a negative errno value. */
static int read_ignore(struct opening *opening, int opened, const char *name,
		       struct snapdrv_error *err)
{
	cleanup_free char *text = NULL;
	cleanup_fd int fd = opened;
	size_t size = 0;
	int ret;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fail_ret(err, fd, "%s", quote(name).text);
	ret = file_slurp(fd, RECIPE_SIZE_MAX, &text, &size, err);
	if (ret)
		return fail_within(err, ret, "%s", quote(name).text);
	ret = ignore_parse(name, text, size, &opening->context.ignore, err);
	return ret ? ret : 1;
}

static int open_outside(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	return open_regular(fd < 0 ? -errno : fd);
}

/* That of the Dockerfile comes first. @is_outside: the Dockerfile is a path of the host. */
static int find_ignore(struct opening *opening, int is_outside, struct snapdrv_error *err)
{
	cleanup_free char *own = text_format(err, "%s.dockerignore", opening->file);
	int ret;

	if (!own)
		return -ENOMEM;
	ret = read_ignore(opening, is_outside ? open_outside(own) : open_inside(opening, own), own,
			  err);
	for (size_t i = 0; i < sizeof(ignore_names) / sizeof(ignore_names[0]) && !ret; i++)
		ret = read_ignore(opening, open_inside(opening, ignore_names[i]), ignore_names[i],
				  err);
	return ret < 0 ? ret : 0;
}

static int fail_to_open(const char *name, int ret, struct snapdrv_error *err)
{
	return fail(err, ret == -ENOENT || ret == -ENOTDIR ? SNAPDRV_MISSING : SNAPDRV_FAILED, -ret,
		    "%s: %s", quote(name).text, strerror(-ret));
}

static int find_inside(struct opening *opening, struct snapdrv_error *err)
{
	const size_t n = opening->dockerfile ? 1 : sizeof(recipe_names) / sizeof(recipe_names[0]);
	int ret = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		const char *name = opening->dockerfile ? opening->dockerfile : recipe_names[i];
		cleanup_fd int fd = open_inside(opening, name);

		if (fd == -ENOENT && i + 1 < n)
			continue;
		if (fd == -ENOENT && !opening->dockerfile)
			return fail(err, SNAPDRV_MISSING, ENOENT,
				    "there is no Dockerfile in the context");
		ret = fd < 0 ? fail_to_open(name, fd, err) : slurp(opening, fd, name, err);
		break;
	}
	return ret ? ret : find_ignore(opening, 0, err);
}

static int find_recipe(struct opening *opening, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	int ret;

	if (!opening->dockerfile || opening->is_tar)
		return find_inside(opening, err);
	if (!strcmp(opening->dockerfile, "-")) {
		const struct layer_input input = input_from_fd(&opening->input_fd);

		ret = read_dockerfile(opening, &input, err);
		return ret ? ret : find_ignore(opening, 0, err);
	}
	fd = file_open_named(opening->dockerfile);
	/* podman looks there, too. */
	if (fd == -ENOENT && opening->dockerfile[0] != '/')
		return find_inside(opening, err);
	ret = fd < 0 ? fail_to_open(opening->dockerfile, fd, err)
		     : slurp(opening, fd, opening->dockerfile, err);
	return ret ? ret : find_ignore(opening, 1, err);
}

static int begin_directory(struct opening *opening, const char *path, struct snapdrv_error *err)
{
	struct context *context = &opening->context;
	struct stat st;

	context->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (context->fd < 0)
		return errno == ENOTDIR
			       ? refuse(err, "it is no directory")
			       : fail(err, errno == ENOENT ? SNAPDRV_MISSING : SNAPDRV_FAILED,
				      errno, "%s", strerror(errno));
	if (fstat(opening->store->root_fd, &st))
		return fail_errno(err, "stat the store");
	context->store_dev = st.st_dev;
	context->store_ino = st.st_ino;
	return 0;
}

static int unpack_context(struct opening *opening, const struct layer_input *input,
			  struct snapdrv_error *err)
{
	int session_fd = store_session(opening->store, err);
	const struct store_name name = store_name(opening->store);
	int ret;

	if (session_fd < 0)
		return session_fd;
	if (mkdirat(session_fd, name.text, 0700))
		return fail_errno(err, "make a directory");
	opening->context.unpacked_fd = session_fd;
	opening->context.unpacked = name;
	opening->context.fd = file_open_dir(session_fd, name.text, err);
	if (opening->context.fd < 0)
		return opening->context.fd;
	ret = unpack_archive(input, opening->context.fd, INT64_MAX, err);
	opening->is_tar = 1;
	return ret;
}

static int begin_input(struct opening *opening, struct snapdrv_error *err)
{
	struct begun begun = {.fd = opening->input_fd};
	const struct layer_input input = {.read = read_begun, .context = &begun};
	const struct layer_input raw = input_from_fd(&begun.fd);
	ssize_t got;

	if (opening->dockerfile && !strcmp(opening->dockerfile, "-"))
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "it and the Dockerfile cannot both be the input");
	got = input_fill(&raw, begun.start, sizeof(begun.start), err);
	if (got < 0)
		return (int)got;
	begun.size = (size_t)got;
	if (sniff_header(begun.start, begun.size) || sniff_compressed(begun.start, begun.size))
		return unpack_context(opening, &input, err);
	return read_dockerfile(opening, &input, err);
}

int context_open(struct store *store, const char *source, int input_fd, int cancel_fd,
		 const char *dockerfile, struct context *ret_context, char **ret_text,
		 size_t *ret_size, char **ret_file, struct snapdrv_error *err)
{
	__attribute__((cleanup(opening_done))) struct opening opening = {
		.store = store,
		.input_fd = input_fd,
		.cancel_fd = cancel_fd,
		.dockerfile = dockerfile,
		.context = {.fd = -1},
	};
	int ret = strcmp(source, "-") ? begin_directory(&opening, source, err)
				      : begin_input(&opening, err);

	if (ret)
		return fail_within(err, ret, "context %s", quote(source).text);
	opening.context.known = known_new(err);
	if (!opening.context.known)
		return -ENOMEM;
	ret = opening.text ? 0 : find_recipe(&opening, err);
	if (ret)
		return ret;
	*ret_context = opening.context;
	*ret_text = steal_ptr(&opening.text);
	*ret_size = opening.size;
	*ret_file = steal_ptr(&opening.file);
	opening.context = (struct context){.fd = -1};
	return 0;
}

void context_done(struct context *context)
{
	cleanup_fd_at(&context->fd);
	/* What cannot be removed is the next sweep's. */
	if (*context->unpacked.text)
		file_remove_tree(context->unpacked_fd, context->unpacked.text, NULL);
	ignore_done(&context->ignore);
	known_free(context->known);
	*context = (struct context){.fd = -1};
}
