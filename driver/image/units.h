/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of one load or import, each once: unpacked side by side, bound from below, committed. */
#ifndef IMAGE_UNITS_H
#define IMAGE_UNITS_H

#include "base/map.h"
#include "image/detail.h"
#include "image/plan.h"
#include "image/stage.h"

/** struct unit_place - what units are told apart by: two images may have one stack of layers, and other blobs. */
struct unit_place {
	struct digest chain;
	struct digest blob; /* with the size, zero where no manifest names one */
	uint64_t size;
};

/** struct unit - a layer in its place: one ChainID, and one blob where the manifest names it. */
struct unit {
	struct image_plan *image; /* one that has it */
	struct layer_plan *layer;
	struct unit_place key;
	struct unit *parent; /* NULL for the lowest */
	struct layer_place place;
	int is_present;	   /* its snapshot is in the store */
	int has_tree;	   /* its tree is in the store */
	int shares_tree;   /* its twin's tree does for it too */
	int wants_blob;	   /* the store does not keep its blob, and it is to */
	int wants_proof;   /* that its blob is this layer, and of this size, nobody has seen yet */
	int is_proven;	   /* it was seen here */
	int is_locked;	   /* other processes wait before they bring it in */
	int is_taken;	   /* a thread has it, or is through with it */
	int is_done;	   /* unpacked or read, if it had to be */
	int is_bound;	   /* its tree is complete */
	int is_listed;	   /* a thread has its inventory, or it needs none */
	int is_lost;	   /* its tree, or one below, has been removed from the store */
	struct unit *twin; /* one with the same ChainID, or else DiffID: its tree may do for both */
	struct tree_record tree;
	struct staged staged;
};

struct units {
	struct intake *intake;
	struct plans *plans;
	struct image_detail known; /* the image that was looked at last, see units_know() */
	struct fetcher *fetcher;   /* where layers come from a registry; borrowed, or NULL */
	struct unit **items;	   /* parents before their children */
	size_t count;
	struct map by_place;
	struct map by_chain; /* the first one of each ChainID */
	struct map by_diff;  /* of each DiffID */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int ret; /* the first failure; everybody gives up */
	struct snapdrv_error err;
};

/** units_make() - the layers of all plans. @ret_units: for units_done(). */
int units_make(struct intake *intake, struct plans *plans, struct units *ret_units,
	       struct snapdrv_error *err);

/**
 * units_look_up() - find out what the store has, with the locks of all layers that it has not.
 * @source: where the others are; NULL when they are staged already.
 *
 * Waits for other processes that are unpacking the same layers.
 */
int units_look_up(struct units *units, struct source *source, struct snapdrv_error *err);

/** units_unpack() - bring in what is missing. */
int units_unpack(struct units *units, struct snapdrv_error *err);

/**
 * units_seal() - with SNAPDRV_VERITY: seal the trees of all layers by fs-verity, also of those that the store
 * had before. Comes after units_unpack() and before the sync.
 */
int units_seal(struct units *units, struct snapdrv_error *err);

/**
 * units_lost() - whether a tree that was found in the store has been removed since.
 *
 * What was unpacked over it is dropped: it is to be tried again. Not while units_unpack() works.
 *
 * Return: 1, 0, or a negative errno value: EAGAIN for what cannot be read again.
 */
int units_lost(struct units *units, struct snapdrv_error *err);

/**
 * units_commit() - write the rows of layers, blobs, images and names, in one change.
 *
 * Return: 0, 1 when a layer that was there has been removed meanwhile: look up again; or negative.
 */
int units_commit(struct units *units, struct snapdrv_error *err);

void units_done(struct units *units);

/** unit_fail() - put the image's and the layer's names in front of an error. Return: @ret. */
int unit_fail(const struct unit *unit, int ret, struct snapdrv_error *err);

/** unit_is_missing() - whether there is anything to read of the layer. */
int unit_is_missing(const struct unit *unit);

/** units_find() - the unit of a layer that is planned, or NULL. */
struct unit *units_find(const struct units *units, const struct layer_plan *layer);

/**
 * units_know() - whether it is known that a blob is a layer and has a size, without reading it.
 *
 * A manifest pairs blobs with DiffIDs as it likes, and having both in the store proves nothing. An image of the
 * store was seen to be what it says when it came in; and a blob with the layer's DiffID is the plain layer.
 *
 * Return: 1, 0, or a negative errno value.
 */
int units_know(struct units *units, const struct layer_plan *layer, struct snapdrv_error *err);

#endif
