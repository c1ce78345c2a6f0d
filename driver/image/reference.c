/* SPDX-License-Identifier: Apache-2.0 */
/* Taking image names apart and putting them together, by the distribution project's grammar. */
#include "image/reference.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"

#define REGISTRY_MAX 255 /* no host name of the DNS is longer */
#define REPOSITORY_MAX 255
#define TAG_MAX 128
#define HEX_ID_LENGTH 64

static const char alnum_lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char tag_rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

/* Letters and digits, in runs that one `.`, `_`, `__` or any number of `-` joins. */
static int is_component(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		size_t run = strspn(text + at, alnum_lower);

		at += run;
		if (!run || at >= length)
			return at == length;
		if (text[at] == '-')
			at += strspn(text + at, "-");
		else if (text[at] == '_')
			at += text[at + 1] == '_' ? 2 : 1;
		else if (text[at] == '.')
			at++;
		else
			return 0;
	}
	return 0;
}

static int is_repository(const char *text)
{
	const char *slash;

	if (strlen(text) > REPOSITORY_MAX)
		return 0;
	for (; (slash = strchr(text, '/')); text = slash + 1) {
		if (!is_component(text, (size_t)(slash - text)))
			return 0;
	}
	return is_component(text, strlen(text));
}

/* Parts of letters, digits and inner `-`, joined by `.`. */
static int is_host(const char *text, size_t length)
{
	size_t part = 0;

	for (size_t i = 0; i <= length; i++) {
		if (i < length && text[i] != '.') {
			if (!strchr(alnum, text[i]) && text[i] != '-')
				return 0;
			continue;
		}
		if (part == i || text[part] == '-' || text[i - 1] == '-')
			return 0;
		part = i + 1;
	}
	return 1;
}

static int is_ipv6(const char *text, size_t length)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;

	if (length >= sizeof(address))
		return 0;
	memcpy(address, text, length);
	address[length] = '\0';
	return inet_pton(AF_INET6, address, &parsed) == 1;
}

static int is_registry(const char *text)
{
	const char *port = strrchr(text, ':');
	const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
	size_t length;

	if (bracket && port && port < bracket)
		port = NULL;
	length = port ? (size_t)(port - text) : strlen(text);
	if (port && (!port[1] || port[1 + strspn(port + 1, "0123456789")]))
		return 0;
	if (strlen(text) > REGISTRY_MAX)
		return 0;
	if (bracket)
		return bracket + 1 == text + length && is_ipv6(text + 1, length - 2);
	return is_host(text, length);
}

static int is_tag(const char *text)
{
	size_t length = strlen(text);

	return length && length <= TAG_MAX && *text != '.' && *text != '-' &&
	       strspn(text, tag_rest) == length;
}

static int is_hex_id(const char *text)
{
	return strlen(text) == HEX_ID_LENGTH && strspn(text, "0123456789abcdef") == HEX_ID_LENGTH;
}

/* Ends @text at its first part when that names a registry; gives what follows, or NULL. */
static char *cut_registry(char *text)
{
	char *slash = strchr(text, '/');

	if (!slash)
		return NULL;
	*slash = '\0';
	if (strpbrk(text, ".:") || !strcmp(text, "localhost"))
		return slash + 1;
	*slash = '/';
	return NULL;
}

static int not_a_name(struct snapdrv_error *err, const char *text, const char *why)
{
	return fail(err, SNAPDRV_USAGE, EINVAL, "%s: not an image name: %s", quote(text).text, why);
}

static const char official[] = "library/";

/* Docker's own images, whose repositories are called so in full. */
static int is_official(const char *registry, const char *repository)
{
	return !strcmp(registry, "docker.io") && !strchr(repository, '/');
}

/* Fills the parts from the pieces that were cut out of the text; each is checked already. */
static int fill(struct reference *ref, const char *registry, const char *repository,
		const char *tag, const char *digest, struct snapdrv_error *err)
{
	if (!tag && !digest)
		tag = "latest";
	ref->registry = text_dup(registry, err);
	ref->repository = text_format(
		err, "%s%s", is_official(registry, repository) ? official : "", repository);
	if (!ref->registry || !ref->repository)
		return -ENOMEM;
	ref->tag = tag ? text_dup(tag, err) : NULL;
	ref->digest = digest ? text_dup(digest, err) : NULL;
	return (tag && !ref->tag) || (digest && !ref->digest) ? -ENOMEM : 0;
}

int reference_parse(const char *text, struct reference *ret_reference, struct snapdrv_error *err)
{
	cleanup_reference struct reference reference = {0};
	cleanup_free char *copy = text_dup(text, err);
	char *registry, *repository, *tag, *digest, *slash;
	struct digest parsed;
	int ret;

	if (!copy)
		return -ENOMEM;
	digest = strchr(copy, '@');
	if (digest)
		*digest++ = '\0';
	slash = strrchr(copy, '/');
	tag = strchr(slash ? slash : copy, ':');
	if (tag)
		*tag++ = '\0';
	repository = cut_registry(copy);
	registry = repository ? copy : "docker.io";
	if (!repository)
		repository = copy;
	if (!strcmp(registry, "index.docker.io"))
		registry = "docker.io";

	if (is_hex_id(text))
		return not_a_name(err, text, "64 hex digits are an image ID");
	if (!is_registry(registry))
		return not_a_name(err, text, "the registry is no host name");
	/* `library/` counts: the full name has to be a name again. */
	if (!is_repository(repository) || (is_official(registry, repository) &&
					   strlen(repository) + strlen(official) > REPOSITORY_MAX))
		return not_a_name(err, text,
				  "the repository may hold a-z, 0-9 and . _ - between them");
	if (tag && !is_tag(tag))
		return not_a_name(err, text,
				  "the tag may hold 1 to 128 of A-Z, a-z, 0-9 and _ . -");
	if (digest && digest_parse(digest, &parsed, NULL) < 0)
		return not_a_name(err, text, "the digest is not a sha256 one");
	ret = fill(&reference, registry, repository, tag, digest, err);
	if (ret < 0)
		return ret;
	*ret_reference = reference;
	reference = (struct reference){0};
	return 0;
}

char *reference_format(const struct reference *reference, struct snapdrv_error *err)
{
	const char *tag = reference->tag, *digest = reference->digest;

	return text_format(err, "%s/%s%s%s%s%s", reference->registry, reference->repository,
			   tag ? ":" : "", tag ? tag : "", digest ? "@" : "", digest ? digest : "");
}

int reference_normalize(const char *text, char **ret_full, struct snapdrv_error *err)
{
	cleanup_reference struct reference reference = {0};
	int ret = reference_parse(text, &reference, err);
	char *full;

	if (ret < 0)
		return ret;
	full = reference_format(&reference, err);
	if (!full)
		return -ENOMEM;
	*ret_full = full;
	return 0;
}

int reference_check_pin(const char *full, const struct digest_text *digest,
			struct snapdrv_error *err)
{
	const char *pin = strchr(full, '@');

	if (!pin || !strcmp(pin + 1, digest->text))
		return 0;
	return fail(err, SNAPDRV_USAGE, EINVAL, "%s: the image's digest is %s", quote(full).text,
		    digest->text);
}

void reference_done(struct reference *reference)
{
	free(reference->registry);
	free(reference->repository);
	free(reference->tag);
	free(reference->digest);
	*reference = (struct reference){0};
}
