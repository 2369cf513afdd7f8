// SPDX-License-Identifier: GPL-2.0
/* Hashes of the crypto API. */
#include <crypto/hash.h>
#include <linux/build_bug.h>
#include <linux/crypto.h>

#include "shim.h"

/* What crypto.rs calls Work is lent for a struct shash_desc with its context. */
static_assert(sizeof(struct shash_desc) + HASH_MAX_DESCSIZE <= SHIM_HASH_WORK_SIZE);
static_assert(__alignof__(struct shash_desc) <= SHIM_HASH_WORK_ALIGN);
static_assert(HASH_MAX_DIGESTSIZE <= SHIM_HASH_SIZE_MAX);

struct crypto_shash *shim_hash_alloc(const char *name)
{
	return crypto_alloc_shash(name, 0, 0);
}

void shim_hash_free(struct crypto_shash *hash)
{
	crypto_free_shash(hash);
}

unsigned int shim_hash_size(struct crypto_shash *hash)
{
	return crypto_shash_digestsize(hash);
}

bool shim_hash_needs_key(struct crypto_shash *hash)
{
	return crypto_shash_get_flags(hash) & CRYPTO_TFM_NEED_KEY;
}

int shim_hash_set_key(struct crypto_shash *hash, const u8 *key, unsigned int len)
{
	return crypto_shash_setkey(hash, key, len);
}

int shim_hash_begin(struct crypto_shash *hash, void *work)
{
	struct shash_desc *desc = work;

	desc->tfm = hash;
	return crypto_shash_init(desc);
}

int shim_hash_add(void *work, const u8 *bytes, unsigned int len)
{
	return crypto_shash_update(work, bytes, len);
}

int shim_hash_end(void *work, u8 *digest)
{
	return crypto_shash_final(work, digest);
}
