/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the store, one script for each version of the schema. */
#include "store/schema.h"

const char *const schema_steps[SCHEMA_VERSION] = {
	/*
	 * The store itself. driver: the backend that it was made with. merged: how often the WAL was begun
	 * anew (from version 2 on).
	 */
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

	/*
	 * A directory of the backend: layers/ID, or active/ID where there is no key. key: the DiffID of a layer that needs nothing of its
	 * parents, the ChainID of one that does, NULL for a container's own layer. root_given: the layer
	 * says what attributes the root directory has. root_opaque: it hides all that is below. needs_look: its
	 * whiteouts fit the layers that it was unpacked over; over others that has to be seen. draft: of a
	 * container's tree, SESSION/NAME in staging/, where it is found if a power cut undoes its move. bytes, entries: counted when it was unpacked.
	 */
	"CREATE TABLE tree(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE,"
	" root_given INTEGER NOT NULL, root_opaque INTEGER NOT NULL, needs_look INTEGER NOT NULL,"
	" draft TEXT, bytes INTEGER NOT NULL, entries INTEGER NOT NULL);"

	/*
	 * A node of the graph. name: the ChainID of an image's layer, "container/NAME" of a container.
	 * kind: c(ommitted), a(ctive), v(iew). depth: how many trees are mounted for it.
	 */
	"CREATE TABLE snapshot(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" kind TEXT NOT NULL CHECK(kind IN ('c', 'a', 'v')),"
	" parent INTEGER REFERENCES snapshot(id), tree INTEGER NOT NULL REFERENCES tree(id),"
	" depth INTEGER NOT NULL, created_ns INTEGER NOT NULL);"
	"CREATE INDEX tree_draft ON tree(draft) WHERE draft IS NOT NULL;"
	"CREATE INDEX snapshot_parent ON snapshot(parent);"
	"CREATE INDEX snapshot_tree ON snapshot(tree);"

	/* A file content/sha256/HEX. */
	"CREATE TABLE blob(digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;"

	/*
	 * An image. manifest, config: the documents, byte for byte, so that an image is readable even
	 * where blobs were discarded. config_digest is the image ID. top: the snapshot of its last layer.
	 */
	"CREATE TABLE image(id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE,"
	" config_digest TEXT NOT NULL, manifest BLOB NOT NULL, config BLOB NOT NULL,"
	" top INTEGER NOT NULL REFERENCES snapshot(id), platform TEXT NOT NULL,"
	" created_ns INTEGER NOT NULL, bytes INTEGER NOT NULL, n_layers INTEGER NOT NULL);"
	"CREATE INDEX image_config ON image(config_digest);"
	"CREATE INDEX image_top ON image(top);"

	/* The blobs that an image names; they are kept while it is here, if they were kept at all. */
	"CREATE TABLE image_blob(image INTEGER NOT NULL REFERENCES image(id), digest TEXT NOT NULL,"
	" PRIMARY KEY(image, digest)) WITHOUT ROWID;"
	"CREATE INDEX image_blob_digest ON image_blob(digest);"

	/* A full name, docker.io/library/nginx:latest. */
	"CREATE TABLE reference(name TEXT PRIMARY KEY,"
	" image INTEGER NOT NULL REFERENCES image(id)) WITHOUT ROWID;"
	"CREATE INDEX reference_image ON reference(image);"

	/*
	 * A container. image_name: what it was made from, as the image was named then. shift_*: how its
	 * owners are shifted when it is mounted; a size of 0 for not at all.
	 */
	"CREATE TABLE container(name TEXT PRIMARY KEY, image INTEGER NOT NULL REFERENCES image(id),"
	" image_name TEXT NOT NULL, snapshot INTEGER NOT NULL REFERENCES snapshot(id),"
	" created_ns INTEGER NOT NULL, shift_uid INTEGER NOT NULL, shift_gid INTEGER NOT NULL,"
	" shift_size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX container_image ON container(image);"
	"CREATE INDEX container_snapshot ON container(snapshot);"

	"PRAGMA user_version = 1;",

	/*
	 * snapshot.removed: it is gone, as is its container; the rows follow, many in one change. One page
	 * is written for a removal then, not ten. live_container has the others.
	 */
	"ALTER TABLE snapshot ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE container2(name TEXT PRIMARY KEY, image INTEGER NOT NULL REFERENCES "
	"image(id),"
	" image_name TEXT NOT NULL,"
	" snapshot INTEGER NOT NULL REFERENCES snapshot(id) ON DELETE CASCADE,"
	" created_ns INTEGER NOT NULL, shift_uid INTEGER NOT NULL, shift_gid INTEGER NOT NULL,"
	" shift_size INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO container2 SELECT * FROM container;"
	"DROP TABLE container;"
	"ALTER TABLE container2 RENAME TO container;"
	"CREATE INDEX container_image ON container(image);"
	"CREATE INDEX container_snapshot ON container(snapshot);"
	"CREATE VIEW live_container AS SELECT container.* FROM container"
	" JOIN snapshot ON snapshot.id = container.snapshot WHERE NOT removed;"

	"INSERT INTO meta VALUES('merged', '0');"

	"PRAGMA user_version = 2;",

	/*
	 * tree.in_active: it is active/ID, not layers/ID; a container's, or a runtime's also after its commit.
	 */
	"ALTER TABLE tree ADD COLUMN in_active INTEGER NOT NULL DEFAULT 0;"
	"UPDATE tree SET in_active = key IS NULL;"

	/*
	 * The name that a container runtime has for a node; several may stand for one, and none is also an
	 * image's or a container's. kind: as of snapshot. parent: the name that it was prepared over, or
	 * committed over. diff_id: of the layer that was applied to it, and only it, while it is active.
	 */
	"CREATE TABLE runtime_name(name TEXT PRIMARY KEY,"
	" kind TEXT NOT NULL CHECK(kind IN ('c', 'a', 'v')),"
	" snapshot INTEGER NOT NULL REFERENCES snapshot(id),"
	" parent TEXT REFERENCES runtime_name(name), created_ns INTEGER NOT NULL,"
	" updated_ns INTEGER NOT NULL, diff_id TEXT, root_opaque INTEGER NOT NULL DEFAULT 0)"
	" WITHOUT ROWID;"
	"CREATE INDEX runtime_name_snapshot ON runtime_name(snapshot);"
	"CREATE INDEX runtime_name_parent ON runtime_name(parent) WHERE parent IS NOT NULL;"
	"CREATE TABLE runtime_label(name TEXT NOT NULL REFERENCES runtime_name(name)"
	" ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(name, key))"
	" WITHOUT ROWID;"
	"CREATE INDEX runtime_label_ref ON runtime_label(value)"
	" WHERE key = 'containerd.io/snapshot.ref';"

	"PRAGMA user_version = 3;",

	/*
	 * image.origin: the repository that it was pulled from last, https://docker.io/library/nginx; http:// where
	 * that was asked for. NULL: it came in another way. What is damaged is asked for there.
	 */
	"ALTER TABLE image ADD COLUMN origin TEXT;"

	"PRAGMA user_version = 4;",

	/*
	 * What a step of a build came to. key: of its parent's ChainID, the instruction and what it takes in.
	 * snapshot: the stack with it; NULL for one without layers. diff_id: of the layer that it added,
	 * whose blob is that tar, of size bytes; NULL when it changed nothing.
	 */
	"CREATE TABLE build_step(key TEXT PRIMARY KEY,"
	" snapshot INTEGER REFERENCES snapshot(id) ON DELETE CASCADE,"
	" diff_id TEXT, size INTEGER NOT NULL, created_ns INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX build_step_snapshot ON build_step(snapshot);"
	"CREATE INDEX build_step_diff ON build_step(diff_id) WHERE diff_id IS NOT NULL;"

	/*
	 * A directory that steps keep between builds, caches/NAME. bytes: what it held when the last step
	 * was through with it.
	 */
	"CREATE TABLE build_cache(name TEXT PRIMARY KEY, id TEXT NOT NULL, bytes INTEGER NOT NULL,"
	" used_ns INTEGER NOT NULL) WITHOUT ROWID;"

	"PRAGMA user_version = 5;",
};
