/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name and password for a registry: as the user gives them, or from the files of podman and docker and
 * their credential helpers.
 */
#ifndef IMAGE_CREDENTIALS_H
#define IMAGE_CREDENTIALS_H

#include "image/reference.h"
#include "snapdrv.h"

/** struct credentials - all zero is none; owned. */
struct credentials {
	char *user;
	char *password;
	char *identity; /* a refresh token, instead of both */
};

/**
 * credentials_find() - who to be at a registry.
 * @given: USER:PASSWORD, or NULL to look them up.
 * @ret_credentials: for credentials_done(); none where nothing is known.
 *
 * The files: $REGISTRY_AUTH_FILE alone where it is set; or else $XDG_RUNTIME_DIR/containers/auth.json,
 * /run/containers/UID/auth.json, $XDG_CONFIG_HOME (~/.config)/containers/auth.json and $DOCKER_CONFIG
 * (~/.docker)/config.json, of which the first one that knows the registry counts. In a file: a helper of
 * its own for the registry (credHelpers), an entry of auths (the longest that the repository starts with),
 * credsStore.
 *
 * Return: 0, or a negative errno value: USAGE (@given without a colon), REFUSED (a file that is no JSON),
 * MISSING (a helper that is not in PATH, $REGISTRY_AUTH_FILE that is not there), FAILED (of a helper).
 */
int credentials_find(const struct reference *reference, const char *given,
		     struct credentials *ret_credentials, struct snapdrv_error *err);

/** credentials_done() - wipe and free. */
void credentials_done(struct credentials *credentials);

/** credentials_basic() - "Basic ..." for an Authorization header; for free(3), or NULL. */
char *credentials_basic(const struct credentials *credentials, struct snapdrv_error *err);

/**
 * credential_helper() - ask docker-credential-NAME, from PATH, for a server.
 * @name: letters, digits and . _ - only; others are REFUSED. @server: its name in the file.
 * @ret_output: what it printed, for free(3).
 *
 * Return: 1 found, 0 it knows nothing of the server, or a negative errno value.
 */
int credential_helper(const char *name, const char *server, char **ret_output, size_t *ret_size,
		      struct snapdrv_error *err);

#endif
