/* secret: a key of 256 bits in pages that are locked into memory, left out of core dumps, and wiped
 * when it is freed (OPENSSL_secure_malloc, OPENSSL_cleanse).
 *
 * Where the kernel does not let us lock them (RLIMIT_MEMLOCK) they are ordinary pages, and the log
 * says so once: a container that gives no locked memory still starts. Any thread; a secret is used
 * by one at a time while it changes (not asserted: plain data of whoever has it). */
#ifndef PS_SECURITY_SECRET_H
#define PS_SECURITY_SECRET_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PS_SECRET_BYTES = 32 };

typedef struct ps_secret ps_secret;

ps_secret *ps_secret_new(void);    /* zeros */
ps_secret *ps_secret_random(void); /* from the system's generator */
ps_secret *ps_secret_copy(const ps_secret *secret);
/* PS_SECRET_BYTES of them, until it is freed. */
uint8_t *ps_secret_bytes(ps_secret *secret);
const uint8_t *ps_secret_const(const ps_secret *secret);
/* Wiped, then freed. NULL is nothing. */
void ps_secret_free(ps_secret **secret);

/* As calloc and free, for what holds a key on its way: wiped when it is given back. NULL is
 * nothing. */
void *ps_secret_alloc(size_t bytes);
void ps_secret_release(void *memory);

/* In a time that says nothing of where they differ. */
bool ps_secret_equal(const void *a, const void *b, size_t len);

/* len random bytes that may be public: salts, nonces. */
void ps_random_public(void *out, size_t len);

#endif
