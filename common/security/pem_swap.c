/* Happy path: as drawn in the header. */
#include "common/security/pem_swap.h"

#include "common/base/file_lock.h"
#include "common/base/landlock.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/base/target.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ps_pem_swap {
    char *cert_file, *key_file, *next_file, *lock_file;
    const ps_disk *disk;
    EVP_PKEY *key; /* that is staged */
    bool staged;   /* next_file is ours, and nobody needs it yet */
    int lock;
};

/* Certificates are for everybody, keys for their owner. */
static ps_status save_key(const ps_pem_swap *s, const char *path, EVP_PKEY *key)
{
    const ps_new_file_options options = {
        .force = true, .secret = true, .mode = 0600, .disk = s->disk};
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */
    ps_status st;
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        st = ps_crypto_fail(PS_INTERNAL, "private key %s", path);
    } else {
        char *text = NULL;
        long len = BIO_get_mem_data(bio, &text);
        st = ps_new_file_save(path, ps_slice_of(text, (size_t)len), &options);
    }
    BIO_free(bio);
    return st;
}

/* The pair is whole in its two files. */
static ps_status unstage(ps_pem_swap *s)
{
    s->staged = false;
    ps_status st = s->disk->unlink(s->disk->state, s->next_file);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

/* Does the certificate that is there need the key in next_file, because its own file has another?
 */
static bool needs_next(const ps_pem_swap *s, EVP_PKEY **next)
{
    X509 *cert = NULL;
    EVP_PKEY *there = NULL;
    bool needed = false;
    if (access(s->next_file, F_OK) == 0 &&
        !ps_pem_read_certificate(s->cert_file, "certificate", &cert)) {
        bool own = access(s->key_file, F_OK) == 0 && !ps_pem_read_key(s->key_file, &there) &&
                   X509_check_private_key(cert, there) == 1;
        needed = !own && !ps_pem_read_key(s->next_file, next) &&
                 X509_check_private_key(cert, *next) == 1;
    }
    X509_free(cert);
    EVP_PKEY_free(there);
    ERR_clear_error();
    return needed;
}

/* A swap, this one or one before, was cut off between the two files. */
static ps_status settle(ps_pem_swap *s)
{
    EVP_PKEY *next = NULL;
    ps_status st = PS_OK;
    if (needs_next(s, &next)) {
        st = save_key(s, s->key_file, next);
        st = st ? st : unstage(s);
    }
    EVP_PKEY_free(next);
    return st;
}

/* ---- one at a time ---- */

static ps_status locked_by(const ps_pem_swap *s)
{
    char who[48] = "";
    long process = ps_file_lock_process(s->lock_file);
    if (process)
        (void)snprintf(who, sizeof who, ": process %ld", process);
    return ps_fail(PS_UNAVAILABLE,
                   "%s and %s are being replaced by another process%s; try again when it is done",
                   s->cert_file, s->key_file, who);
}

/* Whoever may replace the key may wait for its lock, too, when we were killed. */
static void give_lock(const ps_pem_swap *s)
{
    struct stat key, mine;
    if (stat(s->key_file, &key) == 0 && fstat(s->lock, &mine) == 0 && key.st_uid != mine.st_uid &&
        fchown(s->lock, key.st_uid, key.st_gid) != 0)
        return; /* not ours to give, and then hardly in the way */
}

static ps_status take_lock(ps_pem_swap *s, unsigned wait_ms)
{
    ps_status st = ps_file_lock_open(s->lock_file, O_RDWR | O_NOFOLLOW, 0600, wait_ms, &s->lock);
    if (st == PS_UNAVAILABLE)
        return locked_by(s);
    if (st)
        return ps_landlock_explain(ps_wrap(st, "%s", s->lock_file), s->lock_file);
    give_lock(s);
    ps_file_lock_say(s->lock);
    return PS_OK;
}

/* Beside the file itself, whichever link it was named by. */
static ps_status name_others(ps_pem_swap *s)
{
    char *file = NULL;
    ps_status st = ps_target_follow(s->key_file, &file);
    if (!st) {
        s->lock_file = ps_asprintf("%s.lock", file);
        s->next_file = ps_asprintf("%s" PS_PEM_NEXT, file);
    }
    ps_free(&file);
    return st;
}

ps_status ps_pem_swap_begin(const char *cert_file, const char *key_file, const ps_disk *disk,
                            unsigned wait_ms, ps_pem_swap **out)
{
    ps_pem_swap *s = ps_new(ps_pem_swap);
    *s = (ps_pem_swap){.cert_file = ps_strdup(cert_file),
                       .key_file = ps_strdup(key_file),
                       .disk = disk ? disk : &ps_disk_system,
                       .lock = -1};
    ps_status st = name_others(s);
    if (!st)
        st = take_lock(s, wait_ms);
    if (!st)
        st = settle(s);
    if (st)
        ps_pem_swap_free(&s);
    else
        *out = s;
    return st;
}

/* ---- the steps ---- */

ps_status ps_pem_swap_stage(ps_pem_swap *s, EVP_PKEY *key)
{
    PS_REQUIRE(!s->key);
    EVP_PKEY_up_ref(key);
    s->key = key;
    s->staged = true;
    return save_key(s, s->next_file, key);
}

static ps_status replace(ps_pem_swap *s, ps_slice chain)
{
    const ps_new_file_options options = {.force = true, .mode = 0644, .disk = s->disk};
    ps_status st = ps_new_file_save(s->cert_file, chain, &options);
    st = st ? st : save_key(s, s->key_file, s->key);
    return st ? st : unstage(s);
}

ps_status ps_pem_swap_finish(ps_pem_swap *s, ps_slice chain)
{
    PS_REQUIRE(s->key);
    ps_error error;
    s->staged = false; /* from here on it may be needed */
    ps_error_save(&error, replace(s, chain));
    if (error.code) /* what has failed may have been done all the same */
        s->staged = settle(s) == PS_OK;
    return ps_error_raise(&error);
}

void ps_pem_swap_free(ps_pem_swap **swap)
{
    ps_pem_swap *s = *swap;
    if (!s)
        return;
    ps_error callers;
    ps_error_save(&callers, PS_INTERNAL);
    if (s->staged)
        (void)!unstage(s);
    if (s->lock >= 0)
        ps_file_lock_remove(s->lock_file, s->lock);
    (void)!ps_error_raise(&callers);
    EVP_PKEY_free(s->key);
    ps_free(&s->cert_file);
    ps_free(&s->key_file);
    ps_free(&s->next_file);
    ps_free(&s->lock_file);
    ps_free(swap);
}
