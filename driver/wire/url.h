/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: joining, comparing where they lead to, escaping. */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "snapdrv.h"

/**
 * url_join() - what a link means that was found at @base.
 * @link: absolute or relative, from outside. Schemes other than http and https, and links that hold a
 *        user or password, are REFUSED.
 * @ret_url: for free(3).
 */
int url_join(const char *base, const char *link, char **ret_url, struct snapdrv_error *err);

/** url_same_origin() - whether scheme, host and port of two URLs are the same; 0 when one is no URL. */
int url_same_origin(const char *one, const char *other);

/** url_is_secure() - whether it starts with https. */
int url_is_secure(const char *url);

/**
 * url_add_query() - the URL with one more parameter.
 * @name: needs no escaping. @value: any text. @ret_url: for free(3).
 */
int url_add_query(const char *url, const char *name, const char *value, char **ret_url,
		  struct snapdrv_error *err);

/** url_escape() - a text as part of a query or form, for free(3), or NULL with @err filled. */
char *url_escape(const char *text, struct snapdrv_error *err);

#endif
