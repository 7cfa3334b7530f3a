/* What psctl inspect says of what psd, psctl and signing leave: each kind is told by its first
 * bytes, or by the key that lies beside it, and named with the command that it is for. */
#include "client/commands/inspect.h"

#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/conf/job_spec.h"
#include "common/conf/kind_rows.h"
#include "common/record/influence.h"
#include "common/seal/keyring.h"
#include "common/security/certificate.h"
#include "common/signing/bundle.h"

#include <inttypes.h>
#include <string.h>

/* ---- models' signatures ---- */

static bool is_signature(const ps_inspection *of)
{
    return ps_inspect_begins(of, "{", 1) && ps_inspect_ends(of, ".sig");
}

static ps_status describe_signature(ps_inspection *of)
{
    static const char *const methods[] = {"a key", "certificates", "certificates of Sigstore"};
    ps_bundle bundle = {0};
    ps_buf json = PS_BUF_EMPTY;
    ps_inspect_is(of, "the signature of a model (a Sigstore bundle)");
    ps_status st = ps_disk_read_file(&ps_disk_system, of->source.path, PS_BUNDLE_MOST, &json);
    if (!st) {
        st = ps_bundle_read(ps_buf_slice(&json), &bundle);
        st = st ? ps_wrap(st, "%s", of->source.path) : PS_OK;
    }
    if (!st) {
        ps_facts_text(&of->facts, "signed_by", "signed by", ps_slice_str(methods[bundle.method]));
        ps_buf_puts(&of->use, "psctl model verify, of the folder it is in");
    }
    ps_bundle_free(&bundle);
    ps_buf_free(&json);
    return st;
}

/* ---- what lies in psd's data_dir ---- */

/* The text of FILE.key, where there is one. */
static ps_status read_sidecar(const ps_inspection *of, ps_buf *out)
{
    char *path = ps_asprintf("%s.key", of->source.path);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, PS_SIDECAR_MOST, out);
    ps_free(&path);
    return st;
}

static bool is_sealed(const ps_inspection *of)
{
    ps_buf sidecar = PS_BUF_EMPTY;
    uint32_t kek;
    /* a plain file beside a private key of its name says what it is by itself */
    bool is = !of->folder && !of->source.disk &&
              !ps_foreign_find(ps_slice_of(of->first, of->first_len)) &&
              !read_sidecar(of, &sidecar) && !ps_sidecar_kek(ps_buf_slice(&sidecar), &kek);
    ps_buf_free(&sidecar);
    return is;
}

static ps_status describe_sealed(ps_inspection *of)
{
    ps_buf sidecar = PS_BUF_EMPTY;
    uint32_t kek = 0;
    ps_inspect_is(of, "a file that psd has sealed");
    ps_status st = read_sidecar(of, &sidecar);
    if (!st)
        st = ps_sidecar_kek(ps_buf_slice(&sidecar), &kek);
    ps_buf_free(&sidecar);
    if (st)
        return st;
    ps_facts_count(&of->facts, "kek", "needs key", kek);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s is sealed: psd opens it, with the key-encryption key that its .key names; "
                   "psctl fetch and psctl export give its contents",
                   of->source.path);
}

static bool is_checkpoint(const ps_inspection *of)
{
    return ps_inspect_begins(of, "PSDCKPT", 7);
}

static ps_status describe_checkpoint(ps_inspection *of)
{
    ps_inspect_is(of, "a checkpoint of psd");
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s is a checkpoint: psd goes on from it by itself, and stores the job's model "
                   "when it ends",
                   of->source.path);
}

static bool is_record(const ps_inspection *of)
{
    return ps_inspect_begins(of, "PSDINFL1", 8);
}

static ps_status describe_record(ps_inspection *of)
{
    ps_inspect_is(of, "what a training's pushes changed (" PS_INFLUENCE_FILE ")");
    ps_buf_puts(&of->use, "psctl influence JOB, where it is; docs/record.md has it byte by byte");
    return PS_OK;
}

static bool is_audit(const ps_inspection *of)
{
    static const char numbered[] = "\"seq\":";
    return ps_inspect_begins(of, "{", 1) &&
           memmem(of->first, of->first_len, numbered, sizeof numbered - 1);
}

static ps_status describe_audit(ps_inspection *of)
{
    ps_inspect_is(of, "an audit log of psd");
    ps_buf_printf(&of->use, "psctl audit verify %s", of->given);
    return PS_OK;
}

/* ---- identities ---- */

static bool is_pem(const ps_inspection *of)
{
    return !of->source.disk && ps_inspect_begins(of, "-----BEGIN ", 11);
}

static bool pem_of(const ps_inspection *of, const char *what)
{
    const char *line = (const char *)of->first;
    const char *end = memchr(line, '\n', of->first_len);
    return memmem(line, end ? (size_t)(end - line) : of->first_len, what, strlen(what));
}

static ps_status describe_certificate(ps_inspection *of)
{
    ps_certificate_info info;
    ps_inspect_is(of, "a certificate");
    ps_status st = ps_certificate_inspect(of->source.path, &info);
    if (st)
        return st;
    ps_facts_text(&of->facts, "subject", "subject", ps_slice_str(info.subject));
    ps_buf_printf(&of->use, "psctl cert inspect %s says more", of->given);
    ps_certificate_info_clear(&info);
    return PS_OK;
}

/* Nothing of a private key is read. */
static ps_status describe_pem(ps_inspection *of)
{
    if (pem_of(of, "BEGIN CERTIFICATE-"))
        return describe_certificate(of);
    if (pem_of(of, "PRIVATE KEY")) {
        ps_inspect_is(of, "a private key");
        ps_buf_puts(&of->use, "as key, with its certificate, of a context, psd or psworker");
    } else if (pem_of(of, "X509 CRL")) {
        ps_inspect_is(of, "a list of revoked certificates");
        ps_buf_puts(&of->use, "as tls.crl of psd and psworker");
    } else if (pem_of(of, "PUBLIC KEY")) {
        ps_inspect_is(of, "a public key");
        ps_buf_puts(&of->use, "psctl model verify --key");
    } else {
        ps_inspect_is(of, "a PEM file");
        return ps_fail(PS_INVALID_ARGUMENT, "%s: nothing of psd takes what is in it",
                       of->source.path);
    }
    return PS_OK;
}

/* ---- YAML ---- */

static bool is_yaml(const ps_inspection *of)
{
    return !of->folder && !of->source.disk && of->first_len &&
           (ps_inspect_ends(of, ".yaml") || ps_inspect_ends(of, ".yml")) &&
           !ps_foreign_find(ps_slice_of(of->first, of->first_len));
}

/* A job names its kind at the left margin; the rest is settings, or somebody else's. */
static bool names_kind(ps_slice yaml)
{
    return (yaml.len > 5 && !memcmp(yaml.data, "kind:", 5)) ||
           (yaml.len && memmem(yaml.data, yaml.len, "\nkind:", 6));
}

static ps_status describe_yaml(ps_inspection *of)
{
    ps_buf yaml = PS_BUF_EMPTY;
    ps_job_spec *job = NULL;
    ps_status st = ps_disk_read_file(&ps_disk_system, of->source.path, PS_CONF_MAX_BYTES, &yaml);
    const bool is_job = !st && names_kind(ps_buf_slice(&yaml));
    ps_inspect_is(of, is_job ? "a job file" : "YAML");
    if (!st && !is_job)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s is no job file, which has a key kind; settings are looked at by "
                     "psd --check and psworker --check",
                     of->source.path);
    if (!st)
        st = ps_job_spec_parse(ps_buf_slice(&yaml), of->source.path, &job);
    if (!st) {
        ps_facts_text(&of->facts, "job", "job", ps_slice_str(job->name));
        ps_facts_text(&of->facts, "job_kind", "kind", ps_slice_str(ps_kind_names[job->kind]));
        ps_buf_printf(&of->use, "psctl submit %s", of->given);
    }
    if (job)
        ps_job_spec_free(&job);
    ps_buf_free(&yaml);
    return st;
}

const ps_inspect_kind ps_inspect_own[] = {
    {"signature", is_signature, describe_signature},
    {"sealed", is_sealed, describe_sealed},
    {"checkpoint", is_checkpoint, describe_checkpoint},
    {"record", is_record, describe_record},
    {"audit", is_audit, describe_audit},
    {"pem", is_pem, describe_pem},
    {"yaml", is_yaml, describe_yaml},
    {NULL, NULL, NULL},
};
