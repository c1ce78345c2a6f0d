/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 through OpenSSL's EVP, which picks SHA-NI where the processor has it. */
#include "base/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const char prefix[] = "sha256:";

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

int digest_parse(const char *text, struct digest *ret_digest, struct snapdrv_error *err)
{
	struct digest digest;
	const char *hex = text + strlen(prefix);

	if (strncmp(text, prefix, strlen(prefix)) || strlen(hex) != 2 * sizeof(digest.bytes))
		return refuse(err, "%s: not a sha256 digest", quote(text).text);
	for (size_t i = 0; i < sizeof(digest.bytes); i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return refuse(err, "%s: not a sha256 digest", quote(text).text);
		digest.bytes[i] = (unsigned char)(high << 4 | low);
	}
	*ret_digest = digest;
	return 0;
}

struct digest_text digest_format(const struct digest *digest)
{
	static const char digits[] = "0123456789abcdef";
	struct digest_text out;
	char *to = out.text + strlen(prefix);

	memcpy(out.text, prefix, strlen(prefix));
	for (size_t i = 0; i < sizeof(digest->bytes); i++) {
		*to++ = digits[digest->bytes[i] >> 4];
		*to++ = digits[digest->bytes[i] & 15];
	}
	*to = '\0';
	return out;
}

int digest_equal(const struct digest *a, const struct digest *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

struct digest digest_of(const void *data, size_t size)
{
	struct digest digest;

	if (!EVP_Digest(data, size, digest.bytes, NULL, EVP_sha256(), NULL))
		abort();
	return digest;
}

struct digest digest_chain(const struct digest *parent, const struct digest *diff)
{
	char text[2 * DIGEST_TEXT_SIZE];
	size_t length = DIGEST_TEXT_SIZE - 1;

	if (!parent)
		return *diff;
	memcpy(text, digest_format(parent).text, length);
	text[length] = ' ';
	memcpy(text + length + 1, digest_format(diff).text, length);
	return digest_of(text, 2 * length + 1);
}

struct hasher {
	EVP_MD_CTX *context;
};

struct hasher *hasher_new(struct snapdrv_error *err)
{
	struct hasher *hasher = malloc(sizeof(*hasher));

	if (!hasher) {
		fail_memory(err);
		return NULL;
	}
	hasher->context = EVP_MD_CTX_new();
	if (!hasher->context || !EVP_DigestInit_ex(hasher->context, EVP_sha256(), NULL)) {
		hasher_free(hasher);
		fail_memory(err);
		return NULL;
	}
	return hasher;
}

void hasher_free(struct hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

void hasher_update(struct hasher *hasher, const void *data, size_t size)
{
	if (!EVP_DigestUpdate(hasher->context, data, size))
		abort();
}

struct digest hasher_final(struct hasher *hasher)
{
	struct digest digest;

	if (!EVP_DigestFinal_ex(hasher->context, digest.bytes, NULL))
		abort();
	return digest;
}
