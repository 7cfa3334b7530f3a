/* The tables of psworker's keys and flags, which common/conf/options reads; and which files a job
 * may name. */
#include "worker/conf/worker_options.h"

#include "common/base/mem.h"
#include "common/conf/nearest.h"
#include "common/conf/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PSD_SYSCONFDIR
#error "PSD_SYSCONFDIR is set by the build"
#endif
#define DEFAULT_CONFIG PSD_SYSCONFDIR "/psd/psworker.yaml"
#define DEFAULT_PORT   7600

static const ps_conf_key reconnect_keys[] = {
    PS_CONF_DURATION("min", ps_worker_reconnect, min_ms, "250ms", 10, 600000),
    PS_CONF_DURATION("max", ps_worker_reconnect, max_ms, "10s", 10, 3600000),
    PS_CONF_END,
};

static const ps_conf_key worker_keys[] = {
    PS_CONF_TEXT("server", ps_worker_conf, server, "localhost:7600", 1, 300),
    PS_CONF_TEXT("name", ps_worker_conf, name, "", 0, 64),
    PS_CONF_MAP("tls", ps_worker_conf, tls, ps_conf_tls_keys),
    PS_CONF_TEXT("device", ps_worker_conf, device, "auto", 1, 64),
    PS_CONF_BOOL("tf32", ps_worker_conf, tf32, "false"),
    PS_CONF_INT("slots", ps_worker_conf, slots, "2", 1, 16),
    PS_CONF_INT("threads", ps_worker_conf, threads, "0", 0, 1024),
    PS_CONF_BOOL("busy_poll", ps_worker_conf, busy_poll, "true"),
    PS_CONF_TEXTS("data_roots", ps_worker_conf, data_roots, "[/usr/share/datasets]", 0, 64, 1,
                  4095),
    PS_CONF_MAP("log", ps_worker_conf, log, ps_conf_log_keys),
    PS_CONF_BYTES("memory_bytes", ps_worker_conf, memory_bytes, "256MiB", 1 << 20,
                  INT64_C(1) << 45),
    PS_CONF_BYTES("message_bytes", ps_worker_conf, message_bytes, "4MiB", 64 << 10, 1 << 30),
    PS_CONF_MAP("keepalive", ps_worker_conf, keepalive, ps_conf_keepalive_keys),
    PS_CONF_MAP("reconnect", ps_worker_conf, reconnect, reconnect_keys),
    PS_CONF_WORD("landlock", ps_worker_conf, landlock, "auto", ps_conf_landlock_words),
    PS_CONF_DURATION("shutdown_grace", ps_worker_conf, shutdown_grace_ms, "10s", 0, 3600000),
    PS_CONF_END,
};

const ps_conf_schema ps_worker_schema = {.keys = worker_keys, .size = sizeof(ps_worker_conf)};

const char ps_worker_usage[] =
    "usage: psworker [OPTION]...\n"
    "the worker daemon: leases tasks from psd and computes them\n"
    "\n"
    "  -c, --config FILE       configuration (default " DEFAULT_CONFIG ")\n"
    "  -s, --server HOST:PORT  psd\n"
    "      --name NAME         shown to people (default: the host's name)\n"
    "      --device DEVICE     auto, cpu, cuda or cuda:N (a GPU, from 0)\n"
    "      --threads N         of the CPU; 0: one a core\n"
    "      --log-level LEVEL   error, warning, notice, info, debug or trace\n"
    "      --check             try configuration, certificates, folders and device, and leave\n"
    "  -h, --help              this text\n"
    "      --version           the version\n"
    "\n"
    "Signals: SIGTERM stops in order and returns the leases, SIGHUP reads certificates and log\n"
    "level again.\n"
    "Exit status: 0 stopped in order, 1 failed, 2 wrong options or configuration.\n";

/* "cuda:12"; written as it is said, so that a GPU has one name. */
static bool parse_gpu(const char *text, int *number)
{
    if (strncmp(text, "cuda:", strlen("cuda:")))
        return false;
    const char *digits = text + strlen("cuda:");
    size_t n = strspn(digits, "0123456789");
    if (n < 1 || n > 4 || digits[n] || (n > 1 && digits[0] == '0'))
        return false;
    *number = atoi(digits);
    return true;
}

static const char *nth_word(const void *words, size_t i)
{
    return ((const char *const *)words)[i];
}

static ps_status parse_device(const char *text, ps_worker_device *out)
{
    static const char *const words[] = {"auto", "cpu", "cuda", "cuda:N", NULL};
    *out = (ps_worker_device){.backend = "cuda"};
    if (parse_gpu(text, &out->number))
        return PS_OK;
    for (size_t i = 0; i < 3; i++) {
        out->backend = words[i];
        if (!strcmp(text, words[i]))
            return PS_OK;
    }
    ps_buf allowed = PS_BUF_EMPTY;
    ps_conf_allowed(text, nth_word, words, &allowed);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "'%s' is not known%s (N: which GPU, from 0)", text,
                           ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    return st;
}

static ps_status set_device(void *conf, const char *text, const char *origin)
{
    ps_worker_device device;
    ps_status st = ps_conf_set(&ps_worker_schema, conf, "device", text, origin);
    if (!st && parse_device(text, &device))
        st = ps_wrap(PS_INVALID_ARGUMENT, "%s", origin);
    return st;
}

enum { SERVER, NAME, DEVICE, THREADS, LOG_LEVEL, CHECK, N_FLAGS };
static const ps_conf_flag flags[N_FLAGS + 1] = {
    [SERVER] = {"server", .letter = 's', .path = "server"},
    [NAME] = {"name", .path = "name"},
    [DEVICE] = {"device", .apply = set_device},
    [THREADS] = {"threads", .path = "threads"},
    [LOG_LEVEL] = {"log-level", .path = "log.level"},
    [CHECK] = {"check", .plain = true},
};

static ps_status check(const void *conf, const ps_conf_doc *doc)
{
    const ps_worker_conf *c = conf;
    ps_worker_device device;
    if (parse_device(c->device, &device))
        return ps_conf_fail(doc, "device", "%s", ps_error_message());
    if (c->reconnect.min_ms > c->reconnect.max_ms)
        return ps_conf_fail(doc, "reconnect.min", "is more than reconnect.max");
    for (size_t i = 0; i < c->n_data_roots; i++)
        if (c->data_roots[i][0] != '/')
            return ps_conf_fail(doc, "data_roots", "'%s' must be an absolute path",
                                c->data_roots[i]);
    return PS_OK;
}

static ps_status split_server(ps_worker_options *o, bool by_flag)
{
    char *origin = NULL;
    if (!by_flag)
        origin = ps_asprintf("%s: server", o->config_path);
    o->server_port = DEFAULT_PORT;
    ps_status st = ps_conf_parse_endpoint(o->conf->server, origin ? origin : "--server",
                                          &o->server_host, &o->server_port);
    if (!st && (!o->server_host || !o->server_port))
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: '%s' needs a host and a port that is not 0",
                     origin ? origin : "--server", o->conf->server);
    ps_free(&origin);
    return st;
}

static const ps_conf_program program = {
    .name = "psworker",
    .default_config = DEFAULT_CONFIG,
    .schema = &ps_worker_schema,
    .flags = flags,
    .check = check,
};

static void name_by_host(ps_worker_conf *conf)
{
    char host[HOST_NAME_MAX + 1] = "";
    if (*conf->name || gethostname(host, sizeof host - 1) != 0)
        return;
    host[strcspn(host, ".")] = 0;
    ps_free(&conf->name);
    conf->name = ps_strdup(host);
}

ps_status ps_worker_options_parse(int argc, char **argv, ps_worker_options **out)
{
    ps_conf_options said;
    ps_status st = ps_conf_options_parse(&program, argc, argv, &said);
    if (st)
        return st;
    ps_worker_options *o = ps_new(ps_worker_options);
    o->conf = said.conf;
    o->config_path = said.config_path;
    if (said.doc)
        ps_conf_doc_free(&said.doc);
    o->check = said.given[CHECK] != NULL;
    o->help = said.help;
    o->version = said.version;
    if (o->conf)
        name_by_host(o->conf);
    if (o->conf)
        st = parse_device(o->conf->device, &o->device);
    if (o->conf && !st)
        st = split_server(o, said.given[SERVER]);
    if (st)
        ps_worker_options_free(&o);
    else
        *out = o;
    return st;
}

void ps_worker_options_free(ps_worker_options **options)
{
    ps_worker_options *o = *options;
    if (!o)
        return;
    ps_conf_free(&ps_worker_schema, o->conf);
    ps_free(&o->config_path);
    ps_free(&o->server_host);
    ps_free(options);
}

/* Is path root itself or below it? Both are resolved. */
static bool below(const char *path, const char *root)
{
    size_t len = strlen(root);
    if (!strcmp(root, "/"))
        return true;
    return !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

static ps_status not_allowed(const ps_worker_conf *conf, const char *path)
{
    char roots[256] = "";
    for (size_t i = 0; i < conf->n_data_roots; i++) {
        size_t used = strlen(roots);
        (void)snprintf(roots + used, sizeof roots - used, "%s%s", i ? ", " : "",
                       conf->data_roots[i]);
    }
    return ps_fail(PS_PERMISSION_DENIED,
                   "%s: not below a folder that this worker lets jobs read (data_roots: %s)", path,
                   *roots ? roots : "none");
}

ps_status ps_worker_data_path_check(const ps_worker_conf *conf, const char *path)
{
    char real[PATH_MAX], root[PATH_MAX];
    /* Whether a file outside the roots exists is not a job's business: both answer alike there. */
    bool exists = path[0] == '/' && realpath(path, real);
    int error = errno;
    for (size_t i = 0; i < conf->n_data_roots; i++) {
        if (exists && realpath(conf->data_roots[i], root) && below(real, root))
            return PS_OK;
        if (!exists && !strstr(path, "/../") && below(path, conf->data_roots[i]))
            return ps_fail_errno(error, "%s", path);
    }
    return not_allowed(conf, path);
}
