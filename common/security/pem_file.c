/* Happy path: read the file whole, let OpenSSL parse it from memory. Fails where the file system
 * does (no file, no right) and where the content is not what the caller asked for; secrets are
 * wiped from what we allocated. */
#include "common/security/pem_file.h"

#include "common/base/buf.h"
#include "common/base/landlock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/security/crypto_error.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES ((size_t)1 << 20)
enum { READ_STEP = 4096 };

static ps_status read_open_file(int fd, const char *path, const char *what, ps_buf *out)
{
    for (;;) {
        ps_buf_reserve(out, READ_STEP);
        ssize_t n = read(fd, out->data + out->len, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(errno, "%s %s", what, path);
        if (!n)
            return PS_OK;
        out->len += (size_t)n;
        if (out->len > FILE_MAX_BYTES)
            return ps_fail(PS_INVALID_ARGUMENT, "%s %s: more than %zu bytes, not a PEM file", what,
                           path, FILE_MAX_BYTES);
    }
}

static ps_status read_file(const char *path, const char *what, bool secret, ps_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ps_landlock_explain(ps_fail_errno(errno, "%s %s", what, path), path);
    struct stat s;
    bool regular = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    if (regular && (uint64_t)s.st_size <= FILE_MAX_BYTES) /* a buffer that moves leaves a copy */
        ps_buf_reserve(out, (size_t)s.st_size + READ_STEP);
    if (secret && regular && (s.st_mode & 077))
        ps_log_warning("security",
                       "%s %s can be read by others than its owner mode=%04o; chmod 600 it", what,
                       path, (unsigned)(s.st_mode & 07777));
    ps_status st = read_open_file(fd, path, what, out);
    close(fd);
    return st;
}

static void wipe_buf(ps_buf *buf)
{
    if (buf->data)
        ps_wipe(buf->data, buf->capacity);
    ps_buf_free(buf);
}

static ps_status parse_all(BIO *bio, const char *what, STACK_OF(X509) * list)
{
    X509 *one;
    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        sk_X509_push(list, one);
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return ps_crypto_fail(PS_CORRUPT, "%s: damaged PEM", what);
    ERR_clear_error(); /* only the end of the file */
    if (!sk_X509_num(list))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: holds no PEM certificate", what);
    return PS_OK;
}

ps_status ps_pem_parse_certificates(ps_slice pem, const char *what, STACK_OF(X509) * *out)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(pem.len ? (const void *)pem.data : "", (int)pem.len);
    ps_status st =
        bio && list ? parse_all(bio, what, list) : ps_crypto_fail(PS_NO_MEMORY, "%s", what);
    BIO_free(bio);
    if (st)
        sk_X509_pop_free(list, X509_free);
    else
        *out = list;
    return st;
}

ps_status ps_pem_read_certificates(const char *path, const char *what, STACK_OF(X509) * *out)
{
    ps_buf text = PS_BUF_EMPTY;
    char *name = ps_asprintf("%s %s", what, path);
    ps_status st = read_file(path, what, false, &text);
    if (!st)
        st = ps_pem_parse_certificates(ps_buf_slice(&text), name, out);
    ps_free(&name);
    ps_buf_free(&text);
    return st;
}

ps_status ps_pem_read_certificate(const char *path, const char *what, X509 **out)
{
    STACK_OF(X509) *list = NULL;
    ps_status st = ps_pem_read_certificates(path, what, &list);
    if (st)
        return st;
    *out = sk_X509_shift(list);
    sk_X509_pop_free(list, X509_free);
    return PS_OK;
}

/* Called only when the key is encrypted; there is nobody to ask. */
static int no_pass_phrase_cb(char *buf, int size, int rwflag, void *asked)
{
    (void)buf, (void)size, (void)rwflag;
    *(bool *)asked = true;
    return -1;
}

ps_status ps_pem_read_key(const char *path, EVP_PKEY **out)
{
    ps_buf text = PS_BUF_EMPTY;
    bool encrypted = false;
    ps_status st = read_file(path, "private key", true, &text);
    if (st)
        goto out;
    BIO *bio = BIO_new_mem_buf(text.len ? (const void *)text.data : "", (int)text.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase_cb, &encrypted) : NULL;
    BIO_free(bio);
    if (key)
        *out = key;
    else if (encrypted)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "private key %s: has a pass phrase; store it without one, mode 0600", path);
    else if (!memmem(text.data, text.len, "PRIVATE KEY-----", 16))
        st = ps_fail(PS_INVALID_ARGUMENT, "private key %s: holds no PEM private key", path);
    else
        st = ps_crypto_fail(PS_CORRUPT, "private key %s: damaged PEM", path);
    ERR_clear_error(); /* OpenSSL's word for what we have said in ours */
out:
    wipe_buf(&text);
    return st;
}

/* NULL: the links lead nowhere. */
static char *next_of(const char *path)
{
    char *file = NULL;
    if (ps_target_follow(path, &file))
        return NULL;
    char *name = ps_asprintf("%s" PS_PEM_NEXT, file);
    ps_free(&file);
    return name;
}

ps_status ps_pem_read_key_of(X509 *cert, const char *path, EVP_PKEY **out)
{
    EVP_PKEY *key = NULL, *next = NULL;
    ps_status st = ps_pem_read_key(path, &key);
    if (st)
        return st;
    char *name = X509_check_private_key(cert, key) != 1 ? next_of(path) : NULL;
    if (name && access(name, F_OK) == 0 && !ps_pem_read_key(name, &next) &&
        X509_check_private_key(cert, next) == 1) {
        EVP_PKEY *other = key;
        key = next;
        next = other;
    }
    EVP_PKEY_free(next);
    ERR_clear_error();
    ps_free(&name);
    *out = key;
    return PS_OK;
}

ps_status ps_pem_read_public_key(const char *path, EVP_PKEY **out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = read_file(path, "public key", false, &text);
    BIO *bio = st ? NULL : BIO_new_mem_buf(text.len ? (const void *)text.data : "", (int)text.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    bool secret = !st && memmem(text.data, text.len, "PRIVATE KEY-----", 16);
    if (!st && !key)
        st = secret ? ps_fail(PS_INVALID_ARGUMENT,
                              "public key %s: is a private one; 'openssl pkey -in %s -pubout' "
                              "prints its public part",
                              path, path)
                    : ps_crypto_fail(PS_INVALID_ARGUMENT, "public key %s: holds no PEM public key",
                                     path);
    ERR_clear_error();
    wipe_buf(&text);
    if (!st)
        *out = key;
    return st;
}
