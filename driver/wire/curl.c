/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcurl by dlopen(3). */
#include "wire/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"

/* Debian's two builds of one ABI. */
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", NULL};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct curl_api api;
static struct snapdrv_error failure;
static int loaded;

static void *open_library(void)
{
	for (size_t i = 0; names[i]; i++) {
		void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);

		if (library)
			return library;
		if (!i)
			fail(&failure, SNAPDRV_FAILED, ENOENT,
			     "registries need libcurl (Debian: libcurl4): %s", dlerror());
	}
	return NULL;
}

/* POSIX has it that a function's address fits in what dlsym(3) gives. */
static int find(void *library, const char *name, void *ret_pointer)
{
	void *symbol = dlsym(library, name);

	if (!symbol)
		return fail(&failure, SNAPDRV_FAILED, ENOENT, "libcurl is too old: it has no %s",
			    name);
	memcpy(ret_pointer, &symbol, sizeof(symbol));
	return 0;
}

static void load(void)
{
	void *library = open_library();

	if (!library)
		return;
#define CURL_FIND(name)                              \
	if (find(library, "curl_" #name, &api.name)) \
		return;
	CURL_CALLS(CURL_FIND)
#undef CURL_FIND
	loaded = !api.global_init(CURL_GLOBAL_DEFAULT);
	if (!loaded)
		fail(&failure, SNAPDRV_FAILED, EIO, "libcurl cannot be set up");
}

int curl_load(const struct curl_api **ret_api, struct snapdrv_error *err)
{
	pthread_once(&once, load);
	if (!loaded)
		return fail_as(err, &failure);
	*ret_api = &api;
	return 0;
}
