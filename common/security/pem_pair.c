/* Happy path: both are written whole under other names, and take their own one right after the
 * other; what fails on the way is undone. Those of a pair that is there are replaced as a renewal
 * replaces them. */
#include "common/security/pem_pair.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/signal_mask.h"
#include "common/security/certificate_renew.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_swap.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written, but without its name until it is finished. */
static ps_status begin_file(const char *file, BIO *bio, const ps_new_file_options *options,
                            ps_new_file **out)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    ps_status st = ps_new_file_open(file, options, out);
    return st ? st : ps_new_file_write(*out, text, (size_t)len);
}

static ps_status begin_certificate(const ps_pem_pair *p, ps_new_file **out)
{
    const ps_new_file_options options = {.force = p->force, .mode = 0644, .disk = p->disk};
    BIO *bio = BIO_new(BIO_s_mem());
    ps_status st;
    if (!bio || PEM_write_bio_X509(bio, p->cert) != 1)
        st = ps_crypto_fail(PS_INTERNAL, "certificate %s", p->cert_file);
    else
        st = begin_file(p->cert_file, bio, &options, out);
    BIO_free(bio);
    return st;
}

static ps_status begin_key(const ps_pem_pair *p, ps_new_file **out)
{
    const ps_new_file_options options = {
        .force = p->force, .mode = 0600, .secret = true, .disk = p->disk};
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */
    ps_status st;
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, p->key, NULL, NULL, 0, NULL, NULL) != 1)
        st = ps_crypto_fail(PS_INTERNAL, "private key %s", p->key_file);
    else
        st = begin_file(p->key_file, bio, &options, out);
    BIO_free(bio);
    return st;
}

static bool is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

/* ---- where there was none, or no file ---- */

typedef struct half {
    const char *file;
    ps_new_file *written; /* until it has its name */
    bool made;            /* there was nothing of its name */
} half;

static ps_status finish(half *h)
{
    h->made = access(h->file, F_OK) != 0;
    ps_status st = ps_new_file_finish(&h->written);
    if (st == PS_ALREADY_EXISTS) /* meanwhile, and somebody else's */
        h->made = false;
    return st;
}

/* Also what failed may have got its name: only that this is on disk was not said. */
static void undo(const half *h, const ps_disk *disk)
{
    char *made = h->made ? realpath(h->file, NULL) : NULL;
    if (made && disk->unlink(disk->state, made))
        ps_log_warning("security", "a file without its other half stays: %s: %s", made,
                       ps_error_message());
    free(made);
}

static ps_status name_both(const ps_pem_pair *p, half *first, half *second)
{
    ps_error error;
    const ps_disk *disk = p->disk ? p->disk : &ps_disk_system;
    ps_status st = finish(first);
    if (!st)
        st = finish(second);
    ps_error_save(&error, st);
    if (st) {
        undo(first, disk);
        undo(second, disk);
    }
    return ps_error_raise(&error);
}

/* One that is there goes last: then nothing can fail any more that would need it. */
static ps_status write_first(const ps_pem_pair *p)
{
    sigset_t mask;
    half key = {.file = p->key_file}, cert = {.file = p->cert_file};
    bool last = is_file(p->key_file) && !is_file(p->cert_file);
    ps_status st = begin_key(p, &key.written);
    if (!st)
        st = begin_certificate(p, &cert.written);
    if (!st) {
        ps_signals_hold(&mask);
        st = last ? name_both(p, &cert, &key) : name_both(p, &key, &cert);
        ps_signals_let(&mask);
    }
    ps_new_file_drop(&key.written);
    ps_new_file_drop(&cert.written);
    return st;
}

/* ---- a pair that is there ---- */

static ps_status replace(const ps_pem_pair *p)
{
    ps_pem_swap *swap = NULL;
    ps_buf chain = PS_BUF_EMPTY;
    ps_error error;
    sigset_t mask;
    ps_certificate_pem(p->cert, &chain);
    ps_status st =
        ps_pem_swap_begin(p->cert_file, p->key_file, p->disk, PS_PEM_SWAP_WAIT_MS, &swap);
    ps_signals_hold(&mask);
    if (!st)
        st = ps_pem_swap_stage(swap, p->key);
    if (!st)
        st = ps_pem_swap_finish(swap, ps_buf_slice(&chain));
    ps_error_save(&error, st);
    ps_pem_swap_free(&swap);
    ps_signals_let(&mask);
    ps_buf_free(&chain);
    return ps_error_raise(&error);
}

ps_status ps_pem_pair_write(const ps_pem_pair *p)
{
    bool there = p->force && is_file(p->cert_file) && is_file(p->key_file);
    return there ? replace(p) : write_first(p);
}
