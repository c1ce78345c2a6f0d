/* SPDX-License-Identifier: Apache-2.0 */
/* What trees and snapshots of images are called in the graph. */
#ifndef IMAGE_KEYS_H
#define IMAGE_KEYS_H

#include <stdio.h>

#include "base/digest.h"

struct tree_key {
	char text[DIGEST_TEXT_SIZE + 8];
};

/** diff_key() - of a tree that needs nothing of the layers below: whoever has the layer may use it. */
static inline struct tree_key diff_key(const struct digest *diff)
{
	struct tree_key key;

	snprintf(key.text, sizeof(key.text), "diff:%s", digest_format(diff).text);
	return key;
}

/** chain_key() - of a tree that was bound to the layers below: it belongs to one ChainID. */
static inline struct tree_key chain_key(const struct digest *chain)
{
	struct tree_key key;

	snprintf(key.text, sizeof(key.text), "chain:%s", digest_format(chain).text);
	return key;
}

#endif
