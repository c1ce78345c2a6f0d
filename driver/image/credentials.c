/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up credentials in containers-auth.json(5) and docker's config.json. */
#include "image/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#define DOCKER_SERVER "https://index.docker.io/v1/"

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void credentials_done(struct credentials *credentials)
{
	wipe(credentials->user);
	wipe(credentials->password);
	wipe(credentials->identity);
	*credentials = (struct credentials){0};
}

char *credentials_basic(const struct credentials *credentials, struct snapdrv_error *err)
{
	cleanup_free char *plain =
		text_format(err, "%s:%s", credentials->user, credentials->password);
	cleanup_free char *encoded = plain ? base64_encode(plain, strlen(plain), err) : NULL;

	return encoded ? text_format(err, "Basic %s", encoded) : NULL;
}

/* USER:PASSWORD; a password may hold colons. */
static int split(const char *text, struct credentials *credentials, struct snapdrv_error *err)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text)
		return -EINVAL;
	credentials->user = text_format(err, "%.*s", (int)(colon - text), text);
	credentials->password = text_dup(colon + 1, err);
	return credentials->user && credentials->password ? 0 : -ENOMEM;
}

/* 1 found, 0 there is no such file. */
static int read_file(const char *path, json_t **ret_json, struct snapdrv_error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cleanup_free char *text = NULL;
	struct stat st;
	size_t size = 0;
	ssize_t got = 1;
	int ret;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return fail_errno(err, "%s", quote(path).text);
	if (!S_ISREG(st.st_mode) || st.st_size > JSON_DOCUMENT_MAX)
		return refuse(err, "%s: not a file of credentials", quote(path).text);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return fail_memory(err);
	while (size < (size_t)st.st_size && got > 0) {
		got = read(fd, text + size, (size_t)st.st_size - size);
		size += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		return fail_errno(err, "%s", quote(path).text);
	/* An empty file is how some programs begin one. */
	if (!size)
		return 0;
	ret = json_parse(text, size, ret_json, err);
	explicit_bzero(text, size);
	if (!ret && !json_is_object(*ret_json))
		ret = refuse(err, "not an object");
	return ret ? fail_within(err, ret, "%s", quote(path).text) : 1;
}

/* An entry of auths. 1 it says something, 0 it is empty. */
static int read_entry(const json_t *entry, struct credentials *credentials,
		      struct snapdrv_error *err)
{
	cleanup_free char *plain = NULL;
	const char *auth = NULL, *identity = NULL;
	size_t size;
	int ret = json_member_string(entry, "auth", &auth, err);

	if (ret >= 0)
		ret = json_member_string(entry, "identitytoken", &identity, err);
	if (ret < 0)
		return ret;
	if (identity && *identity) {
		credentials->identity = text_dup(identity, err);
		return credentials->identity ? 1 : -ENOMEM;
	}
	if (!auth || !*auth)
		return 0;
	ret = base64_decode(auth, &plain, &size, err);
	if (ret)
		return ret;
	ret = split(plain, credentials, err);
	explicit_bzero(plain, size);
	if (ret == -EINVAL)
		return refuse(err, "no user and password in it");
	return ret ? ret : 1;
}

/* What docker login wrote for a registry: with a scheme in front and a path behind. */
static int is_old_key(const char *key, const char *registry)
{
	size_t length = strlen(registry);

	if (text_starts(key, "https://"))
		key += strlen("https://");
	else if (text_starts(key, "http://"))
		key += strlen("http://");
	if (!strcmp(registry, "docker.io")) {
		static const char *const hosts[] = {"index.docker.io", "registry-1.docker.io",
						    "docker.io", NULL};

		for (size_t i = 0; hosts[i]; i++) {
			size_t host = strlen(hosts[i]);

			if (text_starts(key, hosts[i]) &&
			    (!key[host] || !strcmp(key + host, "/v1/")))
				return 1;
		}
		return 0;
	}
	return text_starts(key, registry) &&
	       (!key[length] || !strcmp(key + length, "/") || !strcmp(key + length, "/v1/") ||
		!strcmp(key + length, "/v2/"));
}

/* registry/a/b, registry/a, registry; then the old forms. */
static const json_t *find_entry(const json_t *auths, const struct reference *reference,
				struct snapdrv_error *err)
{
	cleanup_free char *key =
		text_format(err, "%s/%s", reference->registry, reference->repository);
	const char *name;
	json_t *entry;
	char *slash;

	while (key) {
		entry = json_object_get(auths, key);
		if (json_is_object(entry))
			return entry;
		slash = strrchr(key, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	json_object_foreach((json_t *)auths, name, entry) {
		if (json_is_object(entry) && is_old_key(name, reference->registry))
			return entry;
	}
	return NULL;
}

static int ask_helper(const char *helper, const char *registry, struct credentials *credentials,
		      struct snapdrv_error *err)
{
	const char *server = strcmp(registry, "docker.io") ? registry : DOCKER_SERVER;
	cleanup_free char *output = NULL;
	cleanup_json json_t *json = NULL;
	const char *user = "", *secret = "";
	size_t size;
	int found = credential_helper(helper, server, &output, &size, err), ret;

	if (found <= 0)
		return found;
	ret = json_parse(output, size, &json, err);
	explicit_bzero(output, size);
	if (!ret)
		ret = json_need(json_member_string(json, "Username", &user, err), "Username", err);
	if (ret >= 0)
		ret = json_need(json_member_string(json, "Secret", &secret, err), "Secret", err);
	if (ret < 0)
		return fail_within(err, ret, "docker-credential-%s", helper);
	if (!strcmp(user, "<token>")) {
		credentials->identity = text_dup(secret, err);
		return credentials->identity ? 1 : -ENOMEM;
	}
	credentials->user = text_dup(user, err);
	credentials->password = text_dup(secret, err);
	return credentials->user && credentials->password ? 1 : -ENOMEM;
}

/* A helper that is meant for this registry alone, by any of the registry's names. */
static const char *own_helper(const json_t *json, const char *registry)
{
	const json_t *helpers = json_object_get(json, "credHelpers");
	const char *name;
	json_t *helper;

	json_object_foreach((json_t *)helpers, name, helper) {
		if (json_is_string(helper) && is_old_key(name, registry))
			return json_string_value(helper);
	}
	return NULL;
}

static int look_into(const char *path, const struct reference *reference,
		     struct credentials *credentials, struct snapdrv_error *err)
{
	cleanup_json json_t *json = NULL;
	int found = read_file(path, &json, err);
	const char *helper, *store = NULL;
	const json_t *entry;

	if (found <= 0)
		return found;
	helper = own_helper(json, reference->registry);
	if (helper)
		return ask_helper(helper, reference->registry, credentials, err);
	entry = find_entry(json_object_get(json, "auths"), reference, err);
	found = entry ? read_entry(entry, credentials, err) : 0;
	if (found < 0)
		return fail_within(err, found, "%s", quote(path).text);
	if (!found)
		found = json_member_string(json, "credsStore", &store, err);
	if (store && *store)
		return ask_helper(store, reference->registry, credentials, err);
	return found;
}

static int look_below(const char *dir, const char *name, const struct reference *reference,
		      struct credentials *credentials, struct snapdrv_error *err)
{
	cleanup_free char *path = NULL;

	if (!dir || !*dir)
		return 0;
	path = text_format(err, "%s/%s", dir, name);
	return path ? look_into(path, reference, credentials, err) : -ENOMEM;
}

static int look_everywhere(const struct reference *reference, struct credentials *credentials,
			   struct snapdrv_error *err)
{
	const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
	const char *docker = getenv("DOCKER_CONFIG");
	char run[64];
	int found = look_below(getenv("XDG_RUNTIME_DIR"), "containers/auth.json", reference,
			       credentials, err);

	snprintf(run, sizeof(run), "/run/containers/%u", (unsigned)getuid());
	if (!found)
		found = look_below(run, "auth.json", reference, credentials, err);
	if (!found && config && *config)
		found = look_below(config, "containers/auth.json", reference, credentials, err);
	else if (!found)
		found = look_below(home, ".config/containers/auth.json", reference, credentials,
				   err);
	if (!found && docker && *docker)
		found = look_below(docker, "config.json", reference, credentials, err);
	else if (!found)
		found = look_below(home, ".docker/config.json", reference, credentials, err);
	return found;
}

int credentials_find(const struct reference *reference, const char *given,
		     struct credentials *ret_credentials, struct snapdrv_error *err)
{
	const char *file = getenv("REGISTRY_AUTH_FILE");
	struct credentials credentials = {0};
	int found;

	if (given) {
		found = split(given, &credentials, err);
		if (found == -EINVAL)
			fail(err, SNAPDRV_USAGE, EINVAL, "credentials are USER:PASSWORD");
	} else if (file && *file) {
		found = access(file, R_OK) ? fail(err, SNAPDRV_MISSING, errno, "%s: %s",
						  quote(file).text, strerror(errno))
					   : look_into(file, reference, &credentials, err);
	} else {
		found = look_everywhere(reference, &credentials, err);
	}
	if (found < 0) {
		credentials_done(&credentials);
		return found;
	}
	*ret_credentials = credentials;
	return 0;
}
