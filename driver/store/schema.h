/* SPDX-License-Identifier: Apache-2.0 */
/* The schema: what a row means stands here, beside the statement that makes its table. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#define SCHEMA_VERSION 5

/** schema_steps - script N brings a database from version N to N + 1 and says so in user_version. */
extern const char *const schema_steps[SCHEMA_VERSION];

#endif
