/* Happy path: read the CA, take the lock, read what was issued and the CRL that is there; find out
 * who is meant; add them to its entries, leave out what has ended, sign, write. All that can be
 * wrong is found before the first byte is written. */
#include "common/security/crl_issue.h"

#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/security/authority.h"
#include "common/security/certificate.h"
#include "common/security/crl_build.h"
#include "common/security/crl_list.h"
#include "common/security/crypto_error.h"
#include "common/security/issued.h"
#include "common/security/pem_file.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DAY_S = 86400 };

/* What there is beside the CA. */
typedef struct desk {
    ps_authority ca;
    int lock;
    ps_issued issued;  /* in the order of issue */
    ps_crl_list *list; /* NULL: no CRL yet */
    int64_t now;
} desk;

static void desk_clear(desk *d)
{
    ps_authority_clear(&d->ca);
    ps_issued_clear(&d->issued);
    ps_crl_list_unref(&d->list);
    if (d->lock >= 0)
        (void)close(d->lock);
}

static ps_status read_list(desk *d, const char *file)
{
    if (access(file, F_OK) != 0)
        return PS_OK; /* the first one */
    STACK_OF(X509) *ca = sk_X509_new_null();
    if (!ca || !sk_X509_push(ca, d->ca.cert)) {
        sk_X509_free(ca);
        return ps_crypto_fail(PS_NO_MEMORY, "CRL %s", file);
    }
    ps_status st = ps_crl_list_read(file, ca, &d->list);
    sk_X509_free(ca);
    return st ? ps_wrap(PS_FAILED_PRECONDITION,
                        "the CRL beside the CA is not its own, and is left as it is; put the right "
                        "one there, or move it away and revoke anew")
              : PS_OK;
}

static ps_status desk_open(const ps_crl_request *request, const char *file, desk *d)
{
    ps_status st = ps_authority_read(request->ca_cert_file, request->ca_key_file, &d->ca);
    if (!st && !(X509_get_key_usage(d->ca.cert) & KU_CRL_SIGN))
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "CA certificate %s may not sign CRLs (keyUsage cRLSign)",
                     request->ca_cert_file);
    if (!st)
        st = ps_issued_lock(request->ca_cert_file, d->ca.cert, &d->lock);
    if (!st)
        st = ps_issued_read(request->ca_cert_file, d->ca.cert, &d->issued);
    return st ? st : read_list(d, file);
}

/* ---- who is meant ---- */

static void add(desk *d, ps_crl_result *out, const char *identity,
                const uint8_t serial[PS_CRL_SERIAL], uint8_t reason)
{
    const ps_crl_entry *before = d->list ? ps_crl_find(ps_crl_list_first(d->list), serial) : NULL;
    ps_crl_revoked one = {.entry = {.at = d->now, .reason = reason}, .already = before != NULL};
    memcpy(one.entry.serial, serial, PS_CRL_SERIAL);
    if (before)
        one.entry = *before;
    (void)snprintf(one.identity, sizeof one.identity, "%s", identity);
    for (size_t i = 0; i < out->n_revoked; i++)
        if (!memcmp(out->revoked[i].entry.serial, serial, PS_CRL_SERIAL))
            return; /* it was named twice */
    out->revoked = ps_realloc(out->revoked, (out->n_revoked + 1) * sizeof *out->revoked);
    out->revoked[out->n_revoked++] = one;
}

/* "w1", "worker/w1" and "spiffe://lab/worker/w1" are one name. */
static bool is_named(const char *identity, const char *name)
{
    size_t whole = strlen(identity), part = strlen(name);
    if (whole == part)
        return strcmp(identity, name) == 0;
    return whole > part && identity[whole - part - 1] == '/' &&
           strcmp(identity + whole - part, name) == 0;
}

static ps_status not_found(const desk *d, const char *name)
{
    char since[PS_CERTIFICATE_TIME_MAX];
    if (d->issued.complete)
        return ps_fail(PS_NOT_FOUND, "this CA has issued no certificate of the name '%s'%s", name,
                       access(name, F_OK) == 0 ? "; a certificate in a file: --file" : "");
    return ps_fail(PS_NOT_FOUND,
                   "the list of what this CA issued begins on %s and has no '%s'; revoke a "
                   "certificate from before with --file, or with the --serial that psctl cert "
                   "inspect and openssl x509 -serial show",
                   ps_certificate_time_text(d->issued.begun, since), name);
}

static ps_status by_name(desk *d, const char *name, uint8_t reason, ps_crl_result *out)
{
    const char *identity = NULL;
    size_t live = 0;
    for (size_t i = 0; i < d->issued.n; i++) {
        const ps_issued_row *row = &d->issued.rows[i];
        if (!is_named(row->identity, name))
            continue;
        if (identity && strcmp(identity, row->identity) != 0)
            return ps_fail(PS_INVALID_ARGUMENT, "'%s' is %s and %s: say which", name, identity,
                           row->identity);
        identity = row->identity;
        live += row->not_after >= d->now;
    }
    if (!identity)
        return not_found(d, name);
    if (!live)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "all certificates of %s have expired: there is nothing to revoke", identity);
    for (size_t i = 0; i < d->issued.n; i++) {
        const ps_issued_row *row = &d->issued.rows[i];
        if (row->not_after >= d->now && is_named(row->identity, name))
            add(d, out, row->identity, row->serial, reason);
    }
    return PS_OK;
}

static ps_status check_of_ca(const desk *d, const char *file, X509 *cert,
                             uint8_t serial[PS_CRL_SERIAL])
{
    char when[PS_CERTIFICATE_TIME_MAX];
    int64_t ends = ps_certificate_not_after(cert);
    bool ours = X509_verify(cert, X509_get0_pubkey(d->ca.cert)) == 1;
    ERR_clear_error();
    if (!ours)
        return ps_fail(PS_INVALID_ARGUMENT, "%s is not signed by this CA", file);
    if (ends < d->now)
        return ps_fail(PS_FAILED_PRECONDITION, "%s expired on %s: there is nothing to revoke", file,
                       ps_certificate_time_text(ends, when));
    if (!ps_certificate_serial(cert, serial))
        return ps_fail(PS_INVALID_ARGUMENT, "%s has a serial number that no CRL can name", file);
    if (X509_check_ca(cert) == 1)
        return ps_fail(
            PS_INVALID_ARGUMENT,
            "%s is a CA's: its end is a new CA and new certificates (docs/operations.md)", file);
    return PS_OK;
}

static ps_status by_file(desk *d, const char *file, uint8_t reason, ps_crl_result *out)
{
    X509 *cert = NULL;
    uint8_t serial[PS_CRL_SERIAL];
    ps_status st = ps_pem_read_certificate(file, "certificate", &cert);
    if (st)
        return st;
    st = check_of_ca(d, file, cert, serial);
    if (!st) {
        ps_identity who;
        char identity[PS_IDENTITY_TEXT_MAX] = "";
        if (!ps_certificate_identity(cert, &who))
            (void)ps_identity_format(&who, identity);
        add(d, out, identity, serial, reason);
    }
    X509_free(cert);
    return st;
}

static ps_status by_serial(desk *d, const char *text, uint8_t reason, ps_crl_result *out)
{
    uint8_t serial[PS_CRL_SERIAL];
    const char *identity = "";
    ps_status st = ps_crl_serial_parse(text, serial);
    if (st)
        return st;
    for (size_t i = 0; i < d->issued.n; i++)
        if (!memcmp(d->issued.rows[i].serial, serial, PS_CRL_SERIAL))
            identity = d->issued.rows[i].identity;
    add(d, out, identity, serial, reason);
    return PS_OK;
}

static ps_status find_all(const ps_crl_request *r, desk *d, ps_crl_result *out)
{
    ps_status st = PS_OK;
    for (size_t i = 0; i < r->n_names && !st; i++)
        st = by_name(d, r->names[i], r->reason, out);
    for (size_t i = 0; i < r->n_files && !st; i++)
        st = by_file(d, r->files[i], r->reason, out);
    for (size_t i = 0; i < r->n_serials && !st; i++)
        st = by_serial(d, r->serials[i], r->reason, out);
    return st;
}

/* ---- the next one ---- */

static int by_row_serial(const void *a, const void *b)
{
    return memcmp(((const ps_issued_row *)a)->serial, ((const ps_issued_row *)b)->serial,
                  PS_CRL_SERIAL);
}

/* Has a certificate ended, and had it when the last CRL was made? One clock that is ahead is no
 * proof. */
static bool has_ended(const desk *d, int64_t not_after)
{
    int64_t last = d->list ? ps_crl_list_first(d->list)->this_update : d->now;
    return not_after < last && not_after < d->now;
}

/* Is it in the last CRL only because its certificate had not ended before? */
static bool is_over(const desk *d, const ps_crl_entry *entry)
{
    ps_issued_row key;
    memcpy(key.serial, entry->serial, PS_CRL_SERIAL);
    const ps_issued_row *row =
        d->issued.n ? bsearch(&key, d->issued.rows, d->issued.n, sizeof key, by_row_serial) : NULL;
    return row && has_ended(d, row->not_after);
}

static ps_crl_entry *collect(desk *d, const ps_crl_result *result, size_t *n)
{
    const ps_crl *last = d->list ? ps_crl_list_first(d->list) : NULL;
    size_t before = last ? last->n_entries : 0;
    ps_crl_entry *all = ps_alloc_array(before + result->n_revoked + 1, sizeof *all);
    if (d->issued.n) /* what comes now asks by serial */
        qsort(d->issued.rows, d->issued.n, sizeof *d->issued.rows, by_row_serial);
    for (size_t i = 0; i < before; i++)
        if (!is_over(d, &last->entries[i]))
            all[(*n)++] = last->entries[i];
    for (size_t i = 0; i < result->n_revoked; i++)
        if (!result->revoked[i].already)
            all[(*n)++] = result->revoked[i].entry;
    ps_crl_sort(all, *n);
    return all;
}

static void next_number(const ps_crl *last, uint8_t out[PS_CRL_SERIAL])
{
    memset(out, 0, PS_CRL_SERIAL);
    if (last)
        memcpy(out, last->number, PS_CRL_SERIAL);
    for (size_t i = PS_CRL_SERIAL; i > 0 && ++out[i - 1] == 0; i--)
        ;
}

/* Of what has ended, the list of issued certificates keeps what the CRL still has. */
static void shrink(const ps_crl_request *request, desk *d, ps_crl_entry *entries, size_t n)
{
    const ps_crl now = {.entries = entries, .n_entries = n};
    bool *keep = ps_alloc_array(d->issued.n + 1, sizeof *keep);
    for (size_t i = 0; i < d->issued.n; i++)
        keep[i] = !has_ended(d, d->issued.rows[i].not_after) ||
                  ps_crl_find(&now, d->issued.rows[i].serial);
    ps_issued_shrink(request->ca_cert_file, d->ca.cert, &d->issued, keep, &d->lock);
    ps_free(&keep);
}

static ps_status write_next(const ps_crl_request *request, desk *d, ps_crl_result *out)
{
    int days = request->days ? request->days : PS_CRL_DAYS_MAX;
    uint8_t number[PS_CRL_SERIAL];
    ps_buf pem = PS_BUF_EMPTY;
    next_number(d->list ? ps_crl_list_first(d->list) : NULL, number);
    ps_crl_entry *entries = collect(d, out, &out->entries);
    ps_crl_plan plan = {.this_update = d->now - PS_CERTIFICATE_SLACK_S,
                        .number = number,
                        .entries = entries,
                        .n_entries = out->entries};
    plan.next_update = plan.this_update + (int64_t)days * DAY_S;
    ps_status st = ps_crl_build(&plan, &d->ca, &pem);
    if (!st)
        st = ps_new_file_save(
            out->file, ps_buf_slice(&pem),
            &(ps_new_file_options){.force = true, .mode = 0644, .disk = request->disk});
    if (!st)
        shrink(request, d, entries, out->entries);
    out->next_update = plan.next_update;
    out->written = !st;
    (void)ps_crl_number_text(number, out->number);
    ps_free(&entries);
    ps_buf_free(&pem);
    return st;
}

static bool is_news(const ps_crl_request *r, const ps_crl_result *result)
{
    bool news = r->n_names + r->n_files + r->n_serials == 0;
    for (size_t i = 0; i < result->n_revoked; i++)
        news = news || !result->revoked[i].already;
    return news;
}

static void tell_last(const desk *d, ps_crl_result *out)
{
    const ps_crl *last = ps_crl_list_first(d->list);
    out->entries = last->n_entries;
    out->next_update = last->next_update;
    (void)ps_crl_number_text(last->number, out->number);
}

ps_status ps_crl_issue(const ps_crl_request *request, ps_crl_result *out)
{
    PS_REQUIRE(request->ca_cert_file && request->ca_key_file);
    desk d = {.lock = -1, .now = (int64_t)time(NULL)};
    ps_crl_result result = {.file = ps_authority_beside(request->ca_cert_file, "crl")};
    ps_status st = PS_OK;
    if (request->days < 0 || request->days > PS_CRL_DAYS_MAX)
        st = ps_fail(PS_INVALID_ARGUMENT, "%d days: at least 1, at most %d", request->days,
                     PS_CRL_DAYS_MAX);
    if (!st)
        st = desk_open(request, result.file, &d);
    if (!st)
        st = find_all(request, &d, &result);
    if (!st && is_news(request, &result))
        st = write_next(request, &d, &result);
    else if (!st)
        tell_last(&d, &result);
    result.listed_from = d.issued.complete ? 0 : d.issued.begun;
    desk_clear(&d);
    if (st) {
        ps_crl_result_clear(&result);
        return st;
    }
    *out = result;
    return PS_OK;
}

void ps_crl_result_clear(ps_crl_result *result)
{
    ps_free(&result->file);
    ps_free(&result->revoked);
    *result = (ps_crl_result){0};
}
