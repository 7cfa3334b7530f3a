/* cert create-…: a key and a certificate, as NAME.key and NAME.pem in --dir. What is there already
 * stays, unless --force. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/host.h"
#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_issue.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CA_DAYS_MAX 36500

typedef struct options {
    const char *cluster; /* ca */
    const char *dir;
    const char *name;
    const char *role;     /* client */
    ps_texts hosts;       /* server */
    const char *ca, *key; /* of the CA */
    uint64_t days;
    bool force;
} options;

#define FLAG(name_, type_, member, value_, help_)                                                 \
    {                                                                                             \
        .name = (name_), .type = (type_), .offset = offsetof(options, member), .value = (value_), \
        .help = (help_)                                                                           \
    }
#define FLAG_DIR FLAG("dir", PS_FLAG_TEXT, dir, "DIR", "where the files go (default: here)")
#define FLAG_DAYS \
    FLAG("days", PS_FLAG_NUMBER, days, "N", "in force for so long (default, most: 90)")
#define FLAG_FORCE FLAG("force", PS_FLAG_SWITCH, force, NULL, "overwrite files that are there")
#define FLAG_CA    FLAG("ca-cert", PS_FLAG_TEXT, ca, "FILE", "the CA (default: DIR/ca.pem)")
#define FLAG_KEY   FLAG("ca-key", PS_FLAG_TEXT, key, "FILE", "the CA's key (default: DIR/ca.key)")

/* The files of one request. */
typedef struct files {
    char *cert, *key, *ca_cert, *ca_key;
} files;

/* DIR/NAME.EXT, or just NAME.EXT here. */
static char *file_in(const char *dir, const char *name, const char *extension)
{
    return dir ? ps_asprintf("%s/%s.%s", dir, name, extension)
               : ps_asprintf("%s.%s", name, extension);
}

static files files_of(const options *o, const char *name)
{
    return (files){.cert = file_in(o->dir, name, "pem"),
                   .key = file_in(o->dir, name, "key"),
                   .ca_cert = o->ca ? ps_strdup(o->ca) : file_in(o->dir, "ca", "pem"),
                   .ca_key = o->key ? ps_strdup(o->key) : file_in(o->dir, "ca", "key")};
}

static void files_clear(files *f)
{
    ps_free(&f->cert);
    ps_free(&f->key);
    ps_free(&f->ca_cert);
    ps_free(&f->ca_key);
}

static ps_status make_dir(const options *o, bool *made)
{
    *made = o->dir && mkdir(o->dir, 0755) == 0;
    if (o->dir && !*made && errno != EEXIST)
        return ps_fail_errno(errno, "cannot make the folder %s", o->dir);
    return PS_OK;
}

static ps_status report(ps_client *client, const files *f)
{
    ps_certificate_info info;
    ps_status st = ps_certificate_inspect(f->cert, &info);
    if (st)
        return st;
    char who[PS_IDENTITY_TEXT_MAX], until[PS_CERTIFICATE_TIME_MAX];
    if (info.is_ca)
        snprintf(who, sizeof who, "spiffe://%s", info.identity.cluster);
    else
        ps_identity_format(&info.identity, who);
    ps_certificate_time_text(info.not_after, until);
    if (client->json) {
        ps_json_writer w = ps_json_writer_to(&client->out);
        ps_json_object(&w);
        ps_json_put_string(&w, "identity", who);
        ps_json_put_string(&w, "certificate", f->cert);
        ps_json_put_string(&w, "key", f->key);
        ps_json_put_int(&w, "not_after", info.not_after);
        ps_json_object_end(&w);
        ps_buf_putc(&client->out, '\n');
    } else {
        ps_buf_printf(&client->out, "%s until %s\n  certificate  %s\n  key          %s\n", who,
                      until, f->cert, f->key);
    }
    ps_certificate_info_clear(&info);
    return PS_OK;
}

static ps_status check_days(ps_client *client, const options *o, uint64_t most)
{
    if (o->days > most)
        return ps_client_usage(client, "--days: %llu is too long, at most %llu",
                               (unsigned long long)o->days, (unsigned long long)most);
    return PS_OK;
}

static ps_status create_ca(const options *o, const files *f, ps_role role, const char *name)
{
    (void)role, (void)name;
    ps_ca_request request = {.cluster = o->cluster,
                             .cert_file = f->cert,
                             .key_file = f->key,
                             .days = (int)o->days,
                             .force = o->force};
    return ps_certificate_create_ca(&request);
}

static ps_status create_leaf(const options *o, const files *f, ps_role role, const char *name)
{
    ps_leaf_request request = {.ca_cert_file = f->ca_cert,
                               .ca_key_file = f->ca_key,
                               .role = role,
                               .name = name,
                               .hosts = (const char *const *)o->hosts.at,
                               .n_hosts = o->hosts.n,
                               .cert_file = f->cert,
                               .key_file = f->key,
                               .days = (int)o->days,
                               .force = o->force};
    ps_status st = role == PS_ROLE_SERVER ? ps_certificate_create_server(&request)
                                          : ps_certificate_create_client(&request);
    return ps_where_ca_is(st, f->ca_cert);
}

static ps_status issue(ps_client *client, const options *o, uint64_t days_most,
                       ps_status (*create)(const options *, const files *, ps_role, const char *),
                       ps_role role, const char *name)
{
    bool made = false;
    ps_status st = check_days(client, o, days_most);
    if (!st)
        st = make_dir(o, &made);
    if (st)
        return st;
    files f = files_of(o, name);
    st = create(o, &f, role, name);
    if (!st)
        st = report(client, &f);
    files_clear(&f);
    if (st && made)
        (void)rmdir(o->dir); /* unless something is in it */
    return st;
}

static ps_status issue_leaf(ps_client *client, const options *o, ps_role role, const char *name)
{
    ps_status st = ps_identity_check_part("name", ps_slice_str(name));
    return st ? st : issue(client, o, PS_LEAF_DAYS_MAX, create_leaf, role, name);
}

static ps_status run_ca(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    if (!o->cluster)
        return ps_client_usage(client, "--cluster is missing: the name of the cluster this CA is "
                                       "for, such as 'lab'");
    const char *name = o->name ? o->name : "ca";
    return issue(client, o, CA_DAYS_MAX, create_ca, PS_ROLE_SERVER /* not used */, name);
}

static ps_status run_server(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    if (o->hosts.n == 0)
        return ps_client_usage(client, "--host is missing: a name or address that clients dial; "
                                       "give it once for each");
    char *host = ps_strdup(o->hosts.at[0]);
    ps_host_drop_dot(host);
    ps_status st = issue_leaf(client, o, PS_ROLE_SERVER, o->name ? o->name : host);
    ps_free(&host);
    return st;
}

/* The signers' CA, unless it is there. */
static ps_status ensure_signers(ps_client *client, const options *o, const files *f)
{
    bool cert = access(f->ca_cert, F_OK) == 0, key = access(f->ca_key, F_OK) == 0;
    if (cert && o->cluster)
        return ps_client_usage(
            client,
            "--cluster is for the first signer: %s is there and says which it is; "
            "leave the flag out",
            f->ca_cert);
    if (cert || key)
        return PS_OK; /* what is missing, the next step says */
    if (!o->cluster)
        return ps_client_usage(client,
                               "there is no signers' CA %s yet; --cluster NAME makes one, for the "
                               "cluster of that name",
                               f->ca_cert);
    ps_ca_request request = {
        .cluster = o->cluster, .cert_file = f->ca_cert, .key_file = f->ca_key, .signers = true};
    return ps_certificate_create_ca(&request);
}

static ps_status create_signer(const options *o, const files *f, ps_role role, const char *name)
{
    ps_leaf_request request = {.ca_cert_file = f->ca_cert,
                               .ca_key_file = f->ca_key,
                               .role = role,
                               .name = name,
                               .cert_file = f->cert,
                               .key_file = f->key,
                               .days = (int)o->days,
                               .force = o->force};
    return ps_certificate_create_signer(&request);
}

static ps_status run_signer(ps_client *client, const ps_args *args)
{
    options o = *(const options *)args->options;
    if (!o.name)
        return ps_client_usage(client, "--name is missing: who signs");
    ps_status st = ps_identity_check_part("name", ps_slice_str(o.name));
    if (st)
        return st;
    char *ca = o.ca ? ps_strdup(o.ca) : file_in(o.dir, "signer-ca", "pem");
    char *key = o.key ? ps_strdup(o.key) : file_in(o.dir, "signer-ca", "key");
    const files authority = {.ca_cert = ca, .ca_key = key};
    bool made = false;
    o.ca = ca;
    o.key = key;
    st = check_days(client, &o, PS_SIGNER_DAYS_MAX);
    if (!st)
        st = make_dir(&o, &made);
    if (!st)
        st = ensure_signers(client, &o, &authority);
    if (!st)
        st = issue(client, &o, PS_SIGNER_DAYS_MAX, create_signer, PS_ROLE_SIGNER, o.name);
    if (st && made)
        (void)rmdir(o.dir); /* unless something is in it */
    ps_free(&ca);
    ps_free(&key);
    return st;
}

static ps_status run_client(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    if (!o->role || !o->name)
        return ps_client_usage(client, "--%s is missing", o->role ? "name" : "role");
    ps_role role;
    ps_status st = ps_role_parse(ps_slice_str(o->role), &role);
    return st ? st : issue_leaf(client, o, role, o->name);
}

static const ps_flag ca_flags[] = {
    FLAG("cluster", PS_FLAG_TEXT, cluster, "NAME", "the cluster's name, part of every identity"),
    FLAG("name", PS_FLAG_TEXT, name, "NAME", "of the files (default: ca)"),
    FLAG_DIR,
    FLAG("days", PS_FLAG_NUMBER, days, "N", "in force for so long (default: 3650)"),
    FLAG_FORCE,
    {.name = NULL},
};
static const ps_flag server_flags[] = {
    FLAG("host", PS_FLAG_TEXTS, hosts, "HOST", "a name or address of it; may be repeated"),
    FLAG("name", PS_FLAG_TEXT, name, "NAME", "its name (default: the first host)"),
    FLAG_DIR,
    FLAG_CA,
    FLAG_KEY,
    FLAG_DAYS,
    FLAG_FORCE,
    {.name = NULL},
};
static const ps_flag signer_flags[] = {
    FLAG("name", PS_FLAG_TEXT, name, "NAME", "who signs"),
    FLAG("cluster", PS_FLAG_TEXT, cluster, "NAME", "the cluster's name, for the first signer"),
    FLAG_DIR,
    FLAG("ca-cert", PS_FLAG_TEXT, ca, "FILE", "the signers' CA (default: DIR/signer-ca.pem)"),
    FLAG("ca-key", PS_FLAG_TEXT, key, "FILE", "its key (default: DIR/signer-ca.key)"),
    FLAG("days", PS_FLAG_NUMBER, days, "N", "in force for so long (default: 1095, most: 3650)"),
    FLAG_FORCE,
    {.name = NULL},
};
static const char *const roles[] = {"worker", "submitter", "observer", "admin", NULL};
static const ps_flag client_flags[] = {
    {.name = "role",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, role),
     .value = "ROLE",
     .words = roles,
     .help = "worker, submitter, observer or admin"},
    FLAG("name", PS_FLAG_TEXT, name, "NAME", "who it is for"),
    FLAG_DIR,
    FLAG_CA,
    FLAG_KEY,
    FLAG_DAYS,
    FLAG_FORCE,
    {.name = NULL},
};

const ps_command ps_command_cert_create_ca = {
    .name = "cert create-ca",
    .operands = "--cluster NAME",
    .help = "make the CA of a new cluster",
    .details = "Writes ca.pem, which every daemon and user gets, and ca.key (mode 0600), which\n"
               "signs certificates: keep it off the machines that run psd.\n",
    .flags = ca_flags,
    .options_size = sizeof(options),
    .run = run_ca,
};

const ps_command ps_command_cert_create_server = {
    .name = "cert create-server",
    .operands = "--host HOST ...",
    .help = "make a certificate for psd",
    .details = "Clients accept the server only under a name or address it was made for.\n",
    .flags = server_flags,
    .options_size = sizeof(options),
    .run = run_server,
};

const ps_command ps_command_cert_create_client = {
    .name = "cert create-client",
    .operands = "--role ROLE --name NAME",
    .help = "make a certificate for a worker or a user",
    .details = "Roles: worker (psworker), submitter (submits jobs, fetches models), observer\n"
               "(looks, changes nothing), admin (everything an operator does).\n",
    .flags = client_flags,
    .options_size = sizeof(options),
    .run = run_client,
};

const ps_command ps_command_cert_create_signer = {
    .name = "cert create-signer",
    .operands = "--name NAME",
    .help = "make a certificate that signs models",
    .details =
        "Signers have a CA of their own, signer-ca.pem, made with the first of them, which those\n"
        "get who check models. It lets nobody connect, and ca.pem, which does, signs no models.\n"
        "A signature ends with its certificate, so this one lasts for three years: keep its key,\n"
        "and signer-ca.key, off the machines of the cluster.\n",
    .flags = signer_flags,
    .options_size = sizeof(options),
    .run = run_signer,
};
