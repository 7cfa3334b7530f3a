/* Happy path: both are written whole under other names; the old ones step aside, the new ones take
 * the names; the old ones go. What fails on the way is undone: the old ones come back, as the files
 * that they were. */
#include "common/security/pem_pair.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/security/crypto_error.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

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

/* A file that was there, while the new one takes its name. */
typedef struct before {
    const ps_disk *disk;
    const char *file;   /* as it was given */
    bool missing;       /* there was none */
    char *path, *aside; /* NULL: it is missing, or no file (a pipe, say), or stays */
} before;

enum { OLD_MOST = 100 };

/* NAME.old, or NAME.old.2 and so on where somebody has kept something of that name. */
static ps_status rename_aside(const ps_disk *disk, const char *path, char **out)
{
    ps_status st = PS_ALREADY_EXISTS;
    for (int i = 1; st == PS_ALREADY_EXISTS && i <= OLD_MOST; i++) {
        char *aside = i == 1 ? ps_asprintf("%s.old", path) : ps_asprintf("%s.old.%d", path, i);
        st = disk->rename_new(disk->state, path, aside);
        if (st)
            free(aside);
        else
            *out = aside;
    }
    return st;
}

static ps_status step_aside(const ps_pem_pair *p, const char *file, before *out)
{
    struct stat s;
    char *path = realpath(file, NULL);
    *out = (before){.disk = p->disk ? p->disk : &ps_disk_system, .file = file, .missing = !path};
    if (!path || stat(path, &s) || !S_ISREG(s.st_mode) || !p->force) {
        free(path);
        return PS_OK;
    }
    ps_status st = rename_aside(out->disk, path, &out->aside);
    if (st)
        free(path);
    else
        out->path = path;
    return st;
}

/* Also what failed may have got its name: only that this is on disk was not said. */
static ps_status undo(const before *b)
{
    if (b->aside)
        return b->disk->rename(b->disk->state, b->aside, b->path);
    char *made = b->missing ? realpath(b->file, NULL) : NULL;
    ps_status st = made ? b->disk->unlink(b->disk->state, made) : PS_OK;
    free(made);
    return st;
}

static void forget(const before *b)
{
    if (b->aside && b->disk->unlink(b->disk->state, b->aside))
        ps_log_warning("security", "the file from before stays: %s: %s", b->aside,
                       ps_error_message());
}

static void before_free(before *b)
{
    free(b->aside);
    free(b->path);
}

static const char *where(const before *b)
{
    return b->aside ? b->aside : "nothing";
}

static ps_status undo_both(const before *key, const before *cert, ps_status why)
{
    ps_error error;
    ps_error_save(&error, why);
    bool undone = undo(key) == PS_OK;
    undone = undo(cert) == PS_OK && undone;
    (void)ps_error_raise(&error);
    return undone
               ? why
               : ps_wrap(why, "%s and %s may be of two pairs (what was there before is %s and %s)",
                         key->file, cert->file, where(key), where(cert));
}

static ps_status finish(ps_new_file **file, before *b)
{
    ps_status st = ps_new_file_finish(file);
    if (st == PS_ALREADY_EXISTS) /* meanwhile, and somebody else's */
        b->missing = false;
    return st;
}

static ps_status name_both(const ps_pem_pair *p, ps_new_file **keys, ps_new_file **certs)
{
    before key = {0}, cert = {0};
    ps_status st = step_aside(p, p->key_file, &key);
    if (st)
        return st;
    st = step_aside(p, p->cert_file, &cert);
    if (!st)
        st = finish(keys, &key);
    if (!st)
        st = finish(certs, &cert);
    if (st) {
        st = undo_both(&key, &cert, st);
    } else {
        forget(&key);
        forget(&cert);
    }
    before_free(&key);
    before_free(&cert);
    return st;
}

ps_status ps_pem_pair_write(const ps_pem_pair *p)
{
    sigset_t all, mask;
    ps_new_file *keys = NULL, *certs = NULL;
    ps_status st = begin_key(p, &keys);
    if (!st)
        st = begin_certificate(p, &certs);
    if (!st) {
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_BLOCK, &all, &mask);
        st = name_both(p, &keys, &certs);
        (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    }
    ps_new_file_drop(&keys);
    ps_new_file_drop(&certs);
    return st;
}
