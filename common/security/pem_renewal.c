/* Happy path: as drawn in the header; the files are pem_swap's. */
#include "common/security/pem_renewal.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/security/certificate_build.h"
#include "common/security/certificate_renew.h"
#include "common/security/certificate_request.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"
#include "common/security/pem_swap.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

struct ps_pem_renewal {
    char *cert_file, *key_file, *ca_file;
    ps_pem_swap *swap;
    X509 *before;
    EVP_PKEY *key;
    ps_buf request;
};

/* ---- begin ---- */

static ps_status check_files(const ps_pem_renewal *r)
{
    const char *files[] = {r->cert_file, r->key_file};
    struct stat about;
    for (int i = 0; i < 2; i++) {
        if (stat(files[i], &about) != 0)
            return ps_fail_errno(errno, "%s", files[i]);
        if (!S_ISREG(about.st_mode))
            return ps_fail(PS_FAILED_PRECONDITION, "%s is no file: it cannot be renewed", files[i]);
    }
    if (!ps_target_same(r->cert_file, r->key_file))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "%s holds certificate and key: to be renewed they need two files", r->cert_file);
}

static ps_status read_pair(ps_pem_renewal *r, EVP_PKEY **key)
{
    ps_status st = ps_pem_read_certificate(r->cert_file, "certificate", &r->before);
    if (!st)
        st = ps_pem_read_key_of(r->before, r->key_file, key);
    if (!st && X509_check_private_key(r->before, *key) != 1)
        st = ps_crypto_fail(PS_FAILED_PRECONDITION, "private key %s does not belong to %s",
                            r->key_file, r->cert_file);
    return st;
}

static ps_status begin(ps_pem_renewal *r, const ps_pem_renewal_files *files)
{
    EVP_PKEY *before = NULL;
    ps_status st = check_files(r);
    if (!st)
        st = ps_pem_swap_begin(r->cert_file, r->key_file, files->disk, files->wait_ms, &r->swap);
    if (!st)
        st = read_pair(r, &before);
    if (!st)
        st = ps_certificate_new_key_like(before, &r->key);
    EVP_PKEY_free(before);
    if (!st)
        st = ps_pem_swap_stage(r->swap, r->key);
    return st ? st : ps_certificate_request_make(r->before, r->key, &r->request);
}

ps_status ps_pem_renewal_begin(const ps_pem_renewal_files *files, ps_pem_renewal **out)
{
    ps_pem_renewal *r = ps_new(ps_pem_renewal);
    *r = (ps_pem_renewal){.cert_file = ps_strdup(files->cert),
                          .key_file = ps_strdup(files->key),
                          .ca_file = ps_strdup(files->ca),
                          .request = PS_BUF_EMPTY};
    ps_error error;
    ps_error_save(&error, begin(r, files));
    if (error.code)
        ps_pem_renewal_free(&r);
    else
        *out = r;
    return ps_error_raise(&error);
}

ps_slice ps_pem_renewal_request(const ps_pem_renewal *r)
{
    return ps_buf_slice(&r->request);
}

X509 *ps_pem_renewal_before(const ps_pem_renewal *r)
{
    return r->before;
}

/* ---- finish ---- */

static ps_status check_chain(const ps_pem_renewal *r, STACK_OF(X509) * chain, int64_t at)
{
    STACK_OF(X509) *cas = NULL;
    ps_status st = ps_pem_read_certificates(r->ca_file, "CA file", &cas);
    if (!st)
        st = ps_certificate_chain_check(chain, cas, r->before, r->key, at);
    sk_X509_pop_free(cas, X509_free);
    return st;
}

static ps_status write_chain(const ps_pem_renewal *r, STACK_OF(X509) * chain)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio != NULL;
    for (int i = 0; good && i < sk_X509_num(chain); i++)
        good = PEM_write_bio_X509(bio, sk_X509_value(chain, i)) == 1;
    char *text = NULL;
    long len = good ? BIO_get_mem_data(bio, &text) : 0;
    ps_status st = good ? ps_pem_swap_finish(r->swap, ps_slice_of(text, (size_t)len))
                        : ps_crypto_fail(PS_INTERNAL, "certificate %s", r->cert_file);
    BIO_free(bio);
    return st;
}

ps_status ps_pem_renewal_finish(ps_pem_renewal *r, ps_slice text, int64_t at)
{
    STACK_OF(X509) *chain = NULL;
    ps_status st = ps_certificate_chain_read(text, &chain);
    if (!st)
        st = check_chain(r, chain, at);
    if (!st)
        st = write_chain(r, chain);
    ps_certificate_chain_free(&chain);
    return st;
}

void ps_pem_renewal_free(ps_pem_renewal **renewal)
{
    ps_pem_renewal *r = *renewal;
    if (!r)
        return;
    ps_pem_swap_free(&r->swap);
    X509_free(r->before);
    EVP_PKEY_free(r->key);
    ps_buf_free(&r->request);
    ps_free(&r->cert_file);
    ps_free(&r->key_file);
    ps_free(&r->ca_file);
    ps_free(renewal);
}
