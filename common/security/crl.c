/* crl: RFC 5280 section 5.1, from the outside in.
 *
 * Happy path: the outer sequence, what is signed, facts, entries one by one, extensions. Entries
 * are counted before there is memory for them: it is never more than three times the bytes. */
#include "common/security/crl.h"

#include "common/base/mem.h"
#include "common/security/der.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* id-ce (2.5.29) and its last arc */
static bool is_ce(ps_slice oid, uint8_t arc)
{
    return oid.len == 3 && oid.data[0] == 0x55 && oid.data[1] == 0x1d && oid.data[2] == arc;
}
enum {
    CE_CRL_NUMBER = 20,
    CE_REASON = 21,
    CE_DELTA = 27,
    CE_DISTRIBUTION_POINT = 28,
    CE_CERTIFICATE_ISSUER = 29,
    CE_AUTHORITY_KEY = 35,
};

typedef struct extension {
    ps_slice oid, value;
    bool critical;
} extension;

static extension read_extension(ps_cursor *list)
{
    ps_cursor in = ps_cursor_of(ps_der_read(list, PS_DER_SEQUENCE));
    extension e = {.oid = ps_der_read(&in, PS_DER_OID)};
    if (ps_der_is(&in, PS_DER_BOOLEAN)) {
        ps_slice is = ps_der_read(&in, PS_DER_BOOLEAN);
        e.critical = is.len == 1 && is.data[0];
    }
    e.value = ps_der_read(&in, PS_DER_OCTET_STRING);
    if (in.failed || ps_cursor_left(&in))
        list->failed = true;
    return e;
}

static ps_status not_complete(const char *what)
{
    return ps_fail(PS_UNIMPLEMENTED, "%s; psd takes complete lists of a CA's own certificates",
                   what);
}

static ps_status entry_extension(const extension *e, ps_cursor *in, ps_crl_entry *out)
{
    if (is_ce(e->oid, CE_REASON)) {
        ps_cursor value = ps_cursor_of(e->value);
        ps_slice reason = ps_der_read(&value, PS_DER_ENUMERATED);
        if (reason.len != 1 || ps_cursor_left(&value))
            in->failed = true;
        else
            out->reason = reason.data[0];
        if (out->reason == PS_CRL_REMOVE)
            return not_complete("it takes a certificate off an earlier list (removeFromCRL)");
        return PS_OK;
    }
    if (is_ce(e->oid, CE_CERTIFICATE_ISSUER))
        return not_complete("it has certificates of other issuers");
    return e->critical ? not_complete("an entry has a critical extension that is not known")
                       : PS_OK;
}

static ps_status read_entry(ps_cursor *list, ps_crl_entry *out)
{
    ps_cursor in = ps_cursor_of(ps_der_read(list, PS_DER_SEQUENCE));
    ps_status st = PS_OK;
    *out = (ps_crl_entry){.reason = PS_CRL_UNSPECIFIED};
    ps_der_unsigned(&in, out->serial, PS_CRL_SERIAL);
    out->at = ps_der_time(&in);
    if (ps_der_is(&in, PS_DER_SEQUENCE)) {
        ps_cursor extensions = ps_cursor_of(ps_der_read(&in, PS_DER_SEQUENCE));
        while (!st && !extensions.failed && ps_cursor_left(&extensions)) {
            extension e = read_extension(&extensions);
            if (!extensions.failed)
                st = entry_extension(&e, &extensions, out);
        }
        in.failed |= extensions.failed;
    }
    if (in.failed || ps_cursor_left(&in))
        list->failed = true;
    return st;
}

static size_t count_elements(ps_cursor list)
{
    size_t n = 0;
    while (!list.failed && ps_cursor_left(&list)) {
        (void)ps_der_read(&list, PS_DER_SEQUENCE);
        n += !list.failed;
    }
    return n;
}

static ps_status read_entries(ps_cursor *tbs, ps_crl *out)
{
    ps_cursor list = ps_cursor_of(ps_der_read(tbs, PS_DER_SEQUENCE));
    size_t n = count_elements(list);
    out->entries = ps_try_alloc_raw((n + 1) * sizeof *out->entries);
    if (!out->entries)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu entries", n);
    ps_status st = PS_OK;
    while (!st && !list.failed && ps_cursor_left(&list)) {
        st = read_entry(&list, &out->entries[out->n_entries]);
        out->n_entries += !st && !list.failed;
    }
    if (!st && list.failed)
        return ps_fail(PS_CORRUPT, "entry %zu is damaged", out->n_entries + 1);
    return st;
}

static ps_status list_extension(const extension *e, ps_cursor *in, ps_crl *out, bool *numbered)
{
    if (is_ce(e->oid, CE_CRL_NUMBER)) {
        ps_cursor value = ps_cursor_of(e->value);
        ps_der_unsigned(&value, out->number, sizeof out->number);
        if (value.failed || ps_cursor_left(&value) || *numbered)
            in->failed = true;
        *numbered = true;
        return PS_OK;
    }
    if (is_ce(e->oid, CE_DELTA))
        return not_complete("it is a delta, the changes to another list");
    if (is_ce(e->oid, CE_DISTRIBUTION_POINT))
        return not_complete("it is of one distribution point");
    if (e->critical && !is_ce(e->oid, CE_AUTHORITY_KEY))
        return not_complete("it has a critical extension that is not known");
    return PS_OK;
}

static ps_status read_extensions(ps_cursor *tbs, ps_crl *out)
{
    bool numbered = false;
    ps_status st = PS_OK;
    if (ps_der_is(tbs, PS_DER_CONTEXT_0)) {
        ps_cursor wrapped = ps_cursor_of(ps_der_read(tbs, PS_DER_CONTEXT_0));
        ps_cursor list = ps_cursor_of(ps_der_read(&wrapped, PS_DER_SEQUENCE));
        while (!st && !list.failed && ps_cursor_left(&list)) {
            extension e = read_extension(&list);
            if (!list.failed)
                st = list_extension(&e, &list, out, &numbered);
        }
        tbs->failed |= list.failed || wrapped.failed || ps_cursor_left(&wrapped);
    }
    if (!st && !tbs->failed && !numbered)
        st = ps_fail(PS_CORRUPT, "it has no CRL number, by which a newer one is told from an older "
                                 "one");
    return st;
}

/* The version is there, and says 2, whenever there are extensions (section 5.1.2.1). */
static ps_status read_facts(ps_cursor *tbs, ps_crl *out)
{
    uint8_t version = 0;
    if (ps_der_is(tbs, PS_DER_INTEGER))
        ps_der_unsigned(tbs, &version, 1);
    ps_slice inner = ps_der_whole(tbs, PS_DER_SEQUENCE);
    out->issuer = ps_der_whole(tbs, PS_DER_SEQUENCE);
    out->this_update = ps_der_time(tbs);
    if (tbs->failed)
        return PS_OK; /* the caller looks */
    if (version != 1)
        return ps_fail(PS_UNIMPLEMENTED, "it is of version 1, which has no numbers; psd takes "
                                         "version 2 (RFC 5280)");
    if (inner.len != out->algorithm.len || memcmp(inner.data, out->algorithm.data, inner.len) != 0)
        return ps_fail(PS_CORRUPT, "it names two algorithms for one signature");
    if (!ps_der_is(tbs, PS_DER_UTC_TIME) && !ps_der_is(tbs, PS_DER_GENERALIZED_TIME))
        return ps_fail(PS_UNIMPLEMENTED, "it does not say when the next one comes (nextUpdate)");
    out->next_update = ps_der_time(tbs);
    return PS_OK;
}

static ps_status read_tbs(ps_crl *out)
{
    ps_cursor whole = ps_cursor_of(out->tbs);
    ps_cursor tbs = ps_cursor_of(ps_der_read(&whole, PS_DER_SEQUENCE));
    ps_status st = read_facts(&tbs, out);
    if (!st && ps_der_is(&tbs, PS_DER_SEQUENCE))
        st = read_entries(&tbs, out);
    if (!st && !tbs.failed)
        st = read_extensions(&tbs, out);
    if (!st && (tbs.failed || ps_cursor_left(&tbs)))
        st = ps_fail(PS_CORRUPT, "it is damaged");
    return st;
}

ps_status ps_crl_parse(ps_slice der, ps_crl *out)
{
    ps_crl crl = {0};
    ps_cursor file = ps_cursor_of(der);
    ps_cursor in = ps_cursor_of(ps_der_read(&file, PS_DER_SEQUENCE));
    crl.tbs = ps_der_whole(&in, PS_DER_SEQUENCE);
    crl.algorithm = ps_der_whole(&in, PS_DER_SEQUENCE);
    ps_slice bits = ps_der_read(&in, PS_DER_BIT_STRING); /* whole bytes: none is unused */
    if (file.failed || ps_cursor_left(&file) || in.failed || ps_cursor_left(&in) || !bits.len ||
        bits.data[0])
        return ps_fail(PS_CORRUPT, "it is damaged");
    crl.signature = ps_slice_of(bits.data + 1, bits.len - 1);
    ps_status st = read_tbs(&crl);
    if (st) {
        ps_crl_clear(&crl);
        return st;
    }
    ps_crl_sort(crl.entries, crl.n_entries);
    *out = crl;
    return PS_OK;
}

void ps_crl_clear(ps_crl *crl)
{
    ps_free(&crl->entries);
    *crl = (ps_crl){0};
}

static int by_serial(const void *a, const void *b)
{
    return memcmp(((const ps_crl_entry *)a)->serial, ((const ps_crl_entry *)b)->serial,
                  PS_CRL_SERIAL);
}

void ps_crl_sort(ps_crl_entry *entries, size_t n)
{
    size_t i = 1;
    while (i < n && by_serial(&entries[i - 1], &entries[i]) <= 0)
        i++;
    if (i < n)
        qsort(entries, n, sizeof *entries, by_serial);
}

const ps_crl_entry *ps_crl_find(const ps_crl *crl, const uint8_t serial[PS_CRL_SERIAL])
{
    ps_crl_entry key;
    if (!crl->n_entries)
        return NULL;
    memcpy(key.serial, serial, PS_CRL_SERIAL);
    return bsearch(&key, crl->entries, crl->n_entries, sizeof key, by_serial);
}

/* ---- texts ---- */

static const struct {
    uint8_t number;
    const char *name;
} reasons[] = {
#define X(upper, number, name) {number, name},
    PS_CRL_REASON_TABLE(X)
#undef X
};

const char *ps_crl_reason_text(uint8_t reason, char out[16])
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].number == reason)
            return reasons[i].name;
    (void)snprintf(out, 16, "reason %u", reason);
    return out;
}

bool ps_crl_reason_parse(const char *name, uint8_t *out)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (!strcmp(reasons[i].name, name)) {
            *out = reasons[i].number;
            return true;
        }
    return false;
}

const char *ps_crl_serial_text(const uint8_t serial[PS_CRL_SERIAL], char out[PS_CRL_NUMBER_TEXT])
{
    size_t from = 0;
    while (from < PS_CRL_SERIAL - 1 && !serial[from])
        from++;
    for (size_t i = from; i < PS_CRL_SERIAL; i++)
        (void)snprintf(out + 2 * (i - from), 3, "%02x", serial[i]);
    return out;
}

const char *ps_crl_number_text(const uint8_t number[PS_CRL_SERIAL], char out[PS_CRL_NUMBER_TEXT])
{
    static const uint8_t zeros[PS_CRL_SERIAL - 8];
    uint64_t small = 0;
    for (size_t i = sizeof zeros; i < PS_CRL_SERIAL; i++)
        small = small << 8 | number[i];
    if (!memcmp(number, zeros, sizeof zeros)) {
        (void)snprintf(out, PS_CRL_NUMBER_TEXT, "%" PRIu64, small);
        return out;
    }
    char hex[PS_CRL_NUMBER_TEXT];
    (void)snprintf(out, PS_CRL_NUMBER_TEXT, "0x%.*s", 2 * PS_CRL_SERIAL,
                   ps_crl_serial_text(number, hex));
    return out;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ps_status ps_crl_serial_parse(const char *text, uint8_t out[PS_CRL_SERIAL])
{
    uint8_t serial[PS_CRL_SERIAL] = {0};
    const char *from = !strncmp(text, "0x", 2) || !strncmp(text, "0X", 2) ? text + 2 : text;
    size_t digits = 0;
    bool good = true;
    for (const char *c = from; *c && good; c++) {
        if (*c == ':')
            continue;
        int digit = hex_digit(*c);
        good = digit >= 0 && !(serial[0] >> 4); /* else it would fall out at the front */
        if (!good)
            break;
        for (size_t i = 0; i + 1 < PS_CRL_SERIAL; i++)
            serial[i] = (uint8_t)(serial[i] << 4 | serial[i + 1] >> 4);
        serial[PS_CRL_SERIAL - 1] = (uint8_t)(serial[PS_CRL_SERIAL - 1] << 4 | digit);
        digits++;
    }
    if (!good || !digits)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "'%.80s' is no serial number: hexadecimal digits, at most %d, as psctl cert "
                       "inspect shows them",
                       text, 2 * PS_CRL_SERIAL);
    memcpy(out, serial, PS_CRL_SERIAL);
    return PS_OK;
}
