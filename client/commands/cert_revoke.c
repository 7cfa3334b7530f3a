/* cert revoke, cert crl: the CA's list of revoked certificates, as CA.crl beside the CA. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_issue.h"
#include "common/security/crl_issue.h"

typedef struct options {
    const char *dir, *ca, *key;
    ps_texts files, serials;
    const char *reason;
    uint64_t days;
} options;

#define FLAG(name_, type_, member, value_, help_)                                                 \
    {                                                                                             \
        .name = (name_), .type = (type_), .offset = offsetof(options, member), .value = (value_), \
        .help = (help_)                                                                           \
    }
#define FLAG_DIR  FLAG("dir", PS_FLAG_TEXT, dir, "DIR", "where the CA is (default: here)")
#define FLAG_CA   FLAG("ca-cert", PS_FLAG_TEXT, ca, "FILE", "the CA (default: DIR/ca.pem)")
#define FLAG_KEY  FLAG("ca-key", PS_FLAG_TEXT, key, "FILE", "the CA's key (default: DIR/ca.key)")
#define FLAG_DAYS FLAG("days", PS_FLAG_NUMBER, days, "N", "the list counts for so long (most: 7)")

static const char *shown_identity(const ps_crl_revoked *one)
{
    return *one->identity ? one->identity : "a certificate that is not in the list of issued ones";
}

static void show_json(ps_client *client, const ps_crl_result *r)
{
    char text[PS_CRL_NUMBER_TEXT], reason[16];
    ps_json_writer w = ps_json_writer_to(&client->out);
    ps_json_object(&w);
    ps_json_put_string(&w, "crl", r->file);
    ps_json_put_string(&w, "number", r->number);
    ps_json_put_uint(&w, "entries", r->entries);
    ps_json_put_int(&w, "next_update", r->next_update);
    ps_json_put_bool(&w, "written", r->written);
    ps_json_key(&w, "revoked");
    ps_json_array(&w);
    for (size_t i = 0; i < r->n_revoked; i++) {
        const ps_crl_revoked *one = &r->revoked[i];
        ps_json_object(&w);
        ps_json_put_string(&w, "identity", *one->identity ? one->identity : NULL);
        ps_json_put_string(&w, "serial", ps_crl_serial_text(one->entry.serial, text));
        ps_json_put_string(&w, "reason", ps_crl_reason_text(one->entry.reason, reason));
        ps_json_put_int(&w, "at", one->entry.at);
        ps_json_put_bool(&w, "already", one->already);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_buf_putc(&client->out, '\n');
}

/* Where a list of this CA is looked at. */
static const char *whose(const char *ca)
{
    ps_certificate_info info = {.for_signing = false};
    bool signers = !ps_certificate_inspect(ca, &info) && info.for_signing;
    ps_certificate_info_clear(&info);
    return signers ? "give it to those who check models (psctl model verify --crl)\n"
                   : "put it where tls.crl of psd.yaml and psworker.yaml says\n";
}

static void show_text(ps_client *client, const char *ca, const ps_crl_result *r)
{
    char serial[PS_CRL_NUMBER_TEXT], reason[16], when[PS_CERTIFICATE_TIME_MAX];
    for (size_t i = 0; i < r->n_revoked; i++) {
        const ps_crl_revoked *one = &r->revoked[i];
        ps_buf_printf(&client->out, "%s\n  serial %s: %s %s (%s)\n", shown_identity(one),
                      ps_crl_serial_text(one->entry.serial, serial),
                      one->already ? "was revoked on" : "revoked on",
                      ps_certificate_time_text(one->entry.at, when),
                      ps_crl_reason_text(one->entry.reason, reason));
    }
    ps_buf_printf(&client->out, "%s: number %s, %zu revoked, until %s%s\n", r->file, r->number,
                  r->entries, ps_certificate_time_text(r->next_update, when),
                  r->written ? "" : " (as it was)");
    if (r->written)
        ps_buf_puts(&client->out, whose(ca));
}

/* A name's certificates from before the list began are not in it. */
static void remark_gap(const ps_crl_result *r, size_t n_names)
{
    char since[PS_CERTIFICATE_TIME_MAX];
    int64_t oldest = r->next_update - (int64_t)PS_LEAF_DAYS_MAX * 86400;
    if (n_names && r->listed_from > oldest)
        ps_remark("the list of what this CA issued begins on %s: certificates from before it are "
                  "revoked with --file or --serial",
                  ps_certificate_time_text(r->listed_from, since));
}

static char *ca_file(const char *given, const char *dir, const char *name)
{
    return given ? ps_strdup(given) : dir ? ps_asprintf("%s/%s", dir, name) : ps_strdup(name);
}

static ps_status issue(ps_client *client, const options *o, const ps_texts *names)
{
    uint8_t reason = PS_CRL_UNSPECIFIED;
    if (o->days > PS_CRL_DAYS_MAX)
        return ps_client_usage(client, "--days: %llu is too long, at most %d",
                               (unsigned long long)o->days, PS_CRL_DAYS_MAX);
    if (o->reason && !ps_crl_reason_parse(o->reason, &reason))
        return ps_client_usage(client, "--reason: '%s' is none", o->reason);
    char *ca = ca_file(o->ca, o->dir, "ca.pem"), *key = ca_file(o->key, o->dir, "ca.key");
    const ps_crl_request request = {.ca_cert_file = ca,
                                    .ca_key_file = key,
                                    .names = names ? names->at : NULL,
                                    .n_names = names ? names->n : 0,
                                    .files = o->files.at,
                                    .n_files = o->files.n,
                                    .serials = o->serials.at,
                                    .n_serials = o->serials.n,
                                    .reason = reason,
                                    .days = (int)o->days};
    ps_crl_result result = {0};
    ps_status st = ps_where_ca_is(ps_crl_issue(&request, &result), ca);
    if (!st && client->json)
        show_json(client, &result);
    else if (!st)
        show_text(client, ca, &result);
    if (!st)
        remark_gap(&result, request.n_names);
    ps_crl_result_clear(&result);
    ps_free(&ca);
    ps_free(&key);
    return st;
}

static ps_status run_revoke(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    if (args->operands.n + o->files.n + o->serials.n == 0)
        return ps_client_usage(client, "say whose: a NAME, --file FILE or --serial HEX");
    return issue(client, o, &args->operands);
}

static ps_status run_crl(ps_client *client, const ps_args *args)
{
    return issue(client, args->options, NULL);
}

/* Those that a leaf may be revoked for; a hold cannot be taken back here, so it is not offered. */
static const char *const reasons[] = {
    "keyCompromise",      "affiliationChanged", "superseded", "cessationOfOperation",
    "privilegeWithdrawn", "unspecified",        NULL};
static const ps_flag revoke_flags[] = {
    {.name = "reason",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, reason),
     .value = "REASON",
     .words = reasons,
     .help = "why, such as keyCompromise (default: unspecified)"},
    FLAG("file", PS_FLAG_TEXTS, files, "FILE", "the certificate in a file; may be repeated"),
    FLAG("serial", PS_FLAG_TEXTS, serials, "HEX", "that of a serial number; may be repeated"),
    FLAG_DIR,
    FLAG_CA,
    FLAG_KEY,
    FLAG_DAYS,
    {.name = NULL},
};
static const ps_flag crl_flags[] = {FLAG_DIR, FLAG_CA, FLAG_KEY, FLAG_DAYS, {.name = NULL}};

const ps_command ps_command_cert_revoke = {
    .name = "cert revoke",
    .operands = "[NAME ...]",
    .help = "take back certificates before they end",
    .details =
        "NAME is whose: w1, worker/w1 or spiffe://lab/worker/w1; all of its certificates that\n"
        "have not ended are revoked. Writes ca.crl beside the CA; put it where tls.crl of\n"
        "psd.yaml and psworker.yaml says, and they cut whoever is in it within a second.\n"
        "Reasons: keyCompromise, affiliationChanged, superseded, cessationOfOperation,\n"
        "privilegeWithdrawn, unspecified.\n",
    .flags = revoke_flags,
    .options_size = sizeof(options),
    .most = 1000,
    .run = run_revoke,
};

const ps_command ps_command_cert_crl = {
    .name = "cert crl",
    .operands = "",
    .help = "make the CA's list of revoked certificates anew",
    .details =
        "Writes ca.crl beside the CA with the next number. A list counts for at most 7 days:\n"
        "make a new one in time, say every day, and put it where tls.crl says.\n",
    .flags = crl_flags,
    .options_size = sizeof(options),
    .run = run_crl,
};
