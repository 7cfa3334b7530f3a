/* Happy path: the identity has one to spare, the request is for what its sender has, a row of the
 * table signs, and what came of it is looked at like a stranger's. Why a signer did not sign is in
 * the log: the caller is told no paths of ours. */
#include "server/guard/issuer.h"

#include "common/base/disk.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/program.h"
#include "common/loop/loop.h"
#include "common/security/authority.h"
#include "common/security/certificate.h"
#include "common/security/certificate_renew.h"
#include "common/security/certificate_request.h"
#include "common/security/crl_list.h"
#include "common/security/issued.h"
#include "common/security/pem_file.h"
#include "server/guard/renew_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct ps_issuer {
    ps_issuer_conf conf; /* its texts are ours */
    char *source, *ca_file;
    ps_renew_limit *limit;
    atomic_uint under_way;
};

/* What is to be signed. */
typedef struct order {
    const ps_issuer_conf *conf;
    struct x509_st *before;
    struct X509_req_st *request;
    struct evp_pkey_st *key; /* the request's */
    struct stack_st_X509 *cas;
    const char *identity;
    int64_t life_s;
} order;

/* ---- by a key ---- */

/* Whoever reads it is the CA. */
static ps_status check_mode(const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 077))
        return ps_fail(
            PS_FAILED_PRECONDITION,
            "%s: others may read it (mode %03o): chmod 600 it, and make a new CA if they "
            "did",
            path, (unsigned)(about.st_mode & 0777));
    return PS_OK;
}

static ps_status read_authority(const char *path, struct stack_st_X509 *cas,
                                struct evp_pkey_st **key, struct x509_st **ca)
{
    ps_status st = check_mode(path);
    if (!st)
        st = ps_pem_read_key(path, key);
    if (!st && ps_certificate_authority(cas, *key, ca))
        st = ps_wrap(PS_FAILED_PRECONDITION, "%s", path);
    return st;
}

/* What is issued stands in CA.issued, so that it can be revoked by name. */
static ps_status check_list(const char *path)
{
    char *list = ps_authority_beside(path, "issued"), *folder = ps_disk_folder_of(list);
    bool there = access(list, F_OK) == 0;
    ps_status st = PS_OK;
    if (access(there ? list : folder, there ? W_OK : W_OK | X_OK) != 0)
        st = ps_fail_errno(errno, "what is issued is written to %s", list);
    ps_free(&folder);
    ps_free(&list);
    return st;
}

static ps_status try_file(const char *path, struct stack_st_X509 *cas)
{
    struct evp_pkey_st *key = NULL;
    struct x509_st *ca = NULL;
    ps_status st = read_authority(path, cas, &key, &ca);
    ps_certificate_key_free(&key);
    return st ? st : check_list(path);
}

static ps_status sign_by_file(const char *path, const order *o, ps_buf *chain)
{
    struct evp_pkey_st *key = NULL;
    struct x509_st *ca = NULL, *made = NULL;
    ps_status st = read_authority(path, o->cas, &key, &ca);
    if (!st)
        st = ps_certificate_renew(o->before, o->key, ca, key, o->life_s, &made);
    if (!st)
        st = ps_issued_add_renewed(path, ca, o->before, made);
    if (!st)
        ps_certificate_pem(made, chain);
    ps_certificate_unref(&made);
    ps_certificate_key_free(&key);
    return st;
}

/* ---- by a program ---- */

static ps_status try_program(const char *path, struct stack_st_X509 *cas)
{
    (void)cas;
    if (path[0] != '/')
        return ps_fail(PS_INVALID_ARGUMENT, "%s: an absolute path is wanted", path);
    return access(path, X_OK) == 0 ? PS_OK : ps_fail_errno(errno, "%s", path);
}

static ps_status sign_by_program(const char *path, const order *o, ps_buf *chain)
{
    enum { ROOM = PS_CERTIFICATE_CHAIN_MOST + 1 };
    char seconds[24], identity_says[PS_IDENTITY_TEXT_MAX + 16], life_says[48];
    (void)snprintf(seconds, sizeof seconds, "%" PRId64, o->life_s);
    (void)snprintf(identity_says, sizeof identity_says, "PSD_IDENTITY=%s", o->identity);
    (void)snprintf(life_says, sizeof life_says, "PSD_LIFE_SECONDS=%s", seconds);
    const char *const arguments[] = {path, o->identity, seconds, NULL};
    const char *const environment[] = {identity_says, life_says, NULL};
    ps_buf pem = PS_BUF_EMPTY;
    size_t n = 0;
    ps_certificate_request_pem(o->request, &pem);
    ps_buf_reserve(chain, ROOM);
    ps_status st = ps_program_run(&(ps_program){.arguments = arguments,
                                                .environment = environment,
                                                .input = ps_buf_slice(&pem),
                                                .patience_ms = o->conf->patience_ms},
                                  chain->data + chain->len, ROOM, &n);
    if (!st && n == ROOM)
        st = ps_fail(PS_FAILED_PRECONDITION, "it printed more than %d bytes",
                     PS_CERTIFICATE_CHAIN_MOST);
    if (!st)
        chain->len += n;
    ps_buf_free(&pem);
    return st;
}

/* ---- the table ---- */

/* The list of what was issued is written beside it. */
static void allow_file(const char *path, ps_landlock *landlock)
{
    ps_landlock_allow_beside(landlock, PS_LANDLOCK_WRITE, path);
}

static void allow_program(const char *path, ps_landlock *landlock)
{
    ps_landlock_allow_program(landlock, path);
}

static const struct {
    const char *prefix;
    ps_status (*try)(const char *where, struct stack_st_X509 *cas);
    ps_status (*sign)(const char *where, const order *o, ps_buf *chain);
    void (*allow)(const char *where, ps_landlock *landlock);
} rows[] = {{"file:", try_file, sign_by_file, allow_file},
            {"exec:", try_program, sign_by_program, allow_program}};
enum { ROWS = sizeof rows / sizeof *rows };

static size_t row_of(const char *source, const char **where)
{
    size_t i = 0;
    while (i < ROWS && (strncmp(source, rows[i].prefix, strlen(rows[i].prefix)) != 0 ||
                        !source[strlen(rows[i].prefix)]))
        i++;
    *where = i < ROWS ? source + strlen(rows[i].prefix) : NULL;
    return i;
}

ps_status ps_issuer_check(const char *source)
{
    const char *where;
    if (row_of(source, &where) < ROWS)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "'%s': a signer is named as file:PATH or exec:PROGRAM",
                   source);
}

void ps_issuer_allow(const char *source, ps_landlock *landlock)
{
    const char *where;
    size_t row = row_of(source, &where);
    if (row < ROWS)
        rows[row].allow(where, landlock);
}

ps_status ps_issuer_try(const ps_issuer_conf *conf)
{
    struct stack_st_X509 *cas = NULL;
    const char *where;
    ps_status st = ps_issuer_check(conf->source);
    if (!st)
        st = ps_pem_read_certificates(conf->ca_file, "CA file", &cas);
    if (!st)
        st = rows[row_of(conf->source, &where)].try(where, cas);
    ps_certificate_chain_free(&cas);
    return st ? ps_wrap(st, "identity.signer") : PS_OK;
}

ps_status ps_issuer_open(const ps_issuer_conf *conf, const ps_clock *clock, ps_issuer **out)
{
    ps_status st = ps_issuer_try(conf);
    if (st)
        return st;
    ps_issuer *s = ps_new(ps_issuer);
    s->conf = *conf;
    s->conf.source = s->source = ps_strdup(conf->source);
    s->conf.ca_file = s->ca_file = ps_strdup(conf->ca_file);
    s->conf.patience_ms = conf->patience_ms ? conf->patience_ms : PS_ISSUER_PATIENCE_MS;
    s->limit = ps_renew_limit_create(conf->leaf_ms, clock);
    *out = s;
    return PS_OK;
}

void ps_issuer_close(ps_issuer **signer)
{
    ps_issuer *s = *signer;
    if (!s)
        return;
    ps_renew_limit_free(&s->limit);
    ps_free(&s->source);
    ps_free(&s->ca_file);
    ps_free(signer);
}

/* ---- one certificate ---- */

static ps_status check_life(const ps_certificate_info *made, int64_t life_s)
{
    char until[PS_CERTIFICATE_TIME_MAX];
    if (made->not_after <= (int64_t)time(NULL) + life_s + PS_CERTIFICATE_SLACK_S)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "the new certificate is in force until %s, longer than identity.leaf",
                   ps_certificate_time_text(made->not_after, until));
}

static ps_status check_made(const order *o, ps_slice pem, ps_certificate_info *made)
{
    struct stack_st_X509 *chain = NULL;
    ps_status st = ps_certificate_chain_read(pem, &chain);
    if (!st)
        st = ps_certificate_chain_check(chain, o->cas, o->before, o->key, 0);
    if (!st) {
        ps_certificate_describe(ps_certificate_chain_first(chain), made);
        st = check_life(made, o->life_s);
        if (st)
            ps_certificate_info_clear(made);
    }
    ps_certificate_chain_free(&chain);
    return st;
}

static ps_status sign(order *o, ps_buf *chain, ps_certificate_info *made)
{
    const char *where;
    size_t row = row_of(o->conf->source, &where), before = chain->len;
    ps_status st = ps_pem_read_certificates(o->conf->ca_file, "CA file", &o->cas);
    if (!st)
        st = rows[row].sign(where, o, chain);
    if (!st)
        st = check_made(o, ps_slice_of(chain->data + before, chain->len - before), made);
    ps_certificate_chain_free(&o->cas);
    if (!st)
        return PS_OK;
    chain->len = before;
    if (st == PS_UNAUTHENTICATED) /* revoked, in a list that is not in force here yet */
        return st;
    ps_log_error("identity", "no certificate for %s: %s: %s", o->identity, o->conf->source,
                 ps_error_message());
    return ps_fail(PS_UNAVAILABLE, "the signer gave no certificate for %s (psd's log says why)",
                   o->identity);
}

static ps_status make(ps_issuer *s, struct x509_st *cert, const ps_identity *who, ps_slice der,
                      ps_buf *chain, ps_certificate_info *made)
{
    char identity[PS_IDENTITY_TEXT_MAX];
    order o = {.conf = &s->conf,
               .before = cert,
               .identity = ps_identity_format(who, identity),
               .life_s = (int64_t)(s->conf.leaf_ms / 1000)};
    ps_status st = ps_certificate_request_read(der, &o.request);
    if (!st)
        st = ps_certificate_request_check(o.request, cert);
    if (!st) {
        o.key = ps_certificate_request_key(o.request);
        st = sign(&o, chain, made);
    }
    ps_certificate_request_free(&o.request);
    return st;
}

/* Connections of who is revoked are cut. But whoever stole a certificate may have renewed it before
 * that: so what comes of a revoked one is not renewed either. */
static ps_status check_revoked(const ps_issuer *s, struct x509_st *cert)
{
    if (!s->conf.tls)
        return PS_OK;
    ps_tls_context *tls = ps_tls_holder_get(s->conf.tls);
    const ps_crl_list *crl = ps_tls_context_crl(tls);
    ps_status st = crl ? ps_crl_list_check_line(crl, cert) : PS_OK;
    ps_tls_context_unref(&tls);
    return st;
}

ps_status ps_issuer_renew(ps_issuer *s, struct x509_st *cert, ps_slice request, ps_buf *chain,
                          ps_certificate_info *made)
{
    ps_loop_require_off();
    ps_identity who;
    ps_status st = ps_certificate_identity(cert, &who);
    if (!st)
        st = check_revoked(s, cert);
    if (!st)
        st = ps_renew_limit_begin(s->limit, &who);
    if (st)
        return st;
    if (atomic_fetch_add(&s->under_way, 1) < PS_ISSUER_AT_ONCE)
        st = make(s, cert, &who, request, chain, made);
    else
        st = ps_fail(PS_UNAVAILABLE, "certificates for others are being made; try again");
    atomic_fetch_sub(&s->under_way, 1);
    ps_renew_limit_done(s->limit, &who);
    return st;
}
