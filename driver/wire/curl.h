/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when it is first used: it brings thirty libraries along, and a program that is linked
 * with it pays for them at every start.
 */
#ifndef WIRE_CURL_H
#define WIRE_CURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "snapdrv.h"

/** CURL_CALLS() - the functions of libcurl that are used here. */
#define CURL_CALLS(each)                                                                        \
	each(global_init) each(easy_init) each(easy_cleanup) each(easy_reset) each(easy_setopt) \
		each(easy_getinfo) each(easy_perform) each(easy_strerror) each(easy_escape)     \
			each(free) each(url) each(url_cleanup) each(url_set) each(url_get)      \
				each(slist_append) each(slist_free_all)

/** struct curl_api - pointers to them. */
struct curl_api {
#define CURL_POINTER(name) __typeof__(curl_##name) *name;
	CURL_CALLS(CURL_POINTER)
#undef CURL_POINTER
};

/**
 * curl_load() - libcurl, loaded and set up once for the process. From any thread.
 * @ret_api: valid for the rest of the process.
 *
 * Return: 0, or a negative errno value: FAILED; the message says what is missing.
 */
int curl_load(const struct curl_api **ret_api, struct snapdrv_error *err);

#endif
