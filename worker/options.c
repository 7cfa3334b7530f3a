/* Happy path: flags say which file, the file gives the struct, flags are set on top of it. A fault
 * in a flag starts with the flag's name, one in the file with file and line. */
#include "worker/options.h"

#include "common/base/mem.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/psd/psworker.yaml"
#define DEFAULT_PORT   7600

static const char *const device_words[] = {"auto", "cpu", "cuda", NULL};

static const ps_conf_key reconnect_keys[] = {
    PS_CONF_DURATION("min", ps_worker_reconnect, min_ms, "250ms", 10, 600000),
    PS_CONF_DURATION("max", ps_worker_reconnect, max_ms, "10s", 10, 3600000),
    PS_CONF_END,
};

static const ps_conf_key worker_keys[] = {
    PS_CONF_TEXT("server", ps_worker_conf, server, "localhost:7600", 1, 300),
    PS_CONF_TEXT("name", ps_worker_conf, name, "", 0, 64),
    PS_CONF_MAP("tls", ps_worker_conf, tls, ps_conf_tls_keys),
    PS_CONF_WORD("device", ps_worker_conf, device, "auto", device_words),
    PS_CONF_INT("threads", ps_worker_conf, threads, "0", 0, 1024),
    PS_CONF_TEXTS("data_roots", ps_worker_conf, data_roots, "[/usr/share/datasets]", 0, 64, 1,
                  4095),
    PS_CONF_MAP("log", ps_worker_conf, log, ps_conf_log_keys),
    PS_CONF_BYTES("memory_bytes", ps_worker_conf, memory_bytes, "256MiB", 1 << 20,
                  INT64_C(1) << 45),
    PS_CONF_BYTES("message_bytes", ps_worker_conf, message_bytes, "4MiB", 64 << 10, 1 << 30),
    PS_CONF_MAP("keepalive", ps_worker_conf, keepalive, ps_conf_keepalive_keys),
    PS_CONF_MAP("reconnect", ps_worker_conf, reconnect, reconnect_keys),
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
    "      --device DEVICE     auto, cpu or cuda\n"
    "      --threads N         of the CPU backend; 0: one a core\n"
    "      --log-level LEVEL   error, warning, notice, info or debug\n"
    "  -h, --help              this text\n"
    "      --version           the version\n"
    "\n"
    "Signals: SIGTERM stops in order and returns the leases, SIGHUP reads certificates and log\n"
    "level again.\n"
    "Exit status: 0 stopped in order, 1 failed, 2 wrong options or configuration.\n";

enum { OPT_NAME = 256, OPT_DEVICE, OPT_THREADS, OPT_LOG_LEVEL, OPT_VERSION };

static const struct option flags[] = {
    {"config", required_argument, NULL, 'c'},
    {"server", required_argument, NULL, 's'},
    {"name", required_argument, NULL, OPT_NAME},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

/* Flags that are a key of the file, and their texts as they stand in argv. */
enum { SERVER, NAME, DEVICE, THREADS, LOG_LEVEL, N_SETTINGS };
static const struct {
    int flag;
    const char *path, *origin;
} settings[N_SETTINGS] = {
    [SERVER] = {'s', "server", "--server"},
    [NAME] = {OPT_NAME, "name", "--name"},
    [DEVICE] = {OPT_DEVICE, "device", "--device"},
    [THREADS] = {OPT_THREADS, "threads", "--threads"},
    [LOG_LEVEL] = {OPT_LOG_LEVEL, "log.level", "--log-level"},
};

typedef struct given {
    const char *config;
    const char *setting[N_SETTINGS];
    bool help, version;
} given;

static void take_setting(given *g, int flag)
{
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (settings[i].flag == flag)
            g->setting[i] = optarg;
}

static ps_status read_flags(int argc, char **argv, given *g)
{
    optind = 0; /* glibc: start over */
    opterr = 0;
    for (int c = 0; (c = getopt_long(argc, argv, ":c:s:h", flags, NULL)) != -1;) {
        switch (c) {
        case 'c':
            g->config = optarg;
            break;
        case 'h':
            g->help = true;
            break;
        case OPT_VERSION:
            g->version = true;
            break;
        case ':':
            return ps_fail(PS_INVALID_ARGUMENT, "%s needs a value; see --help", argv[optind - 1]);
        case '?':
            return ps_fail(PS_INVALID_ARGUMENT, "%s is not an option of psworker; see --help",
                           argv[optind - 1]);
        default:
            take_setting(g, c);
        }
    }
    if (optind < argc)
        return ps_fail(PS_INVALID_ARGUMENT, "'%s': psworker takes no arguments; see --help",
                       argv[optind]);
    return PS_OK;
}

static ps_status apply_flags(const given *g, ps_worker_conf *conf)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (!g->setting[i])
            continue;
        ps_status st = ps_conf_set(&ps_worker_schema, conf, settings[i].path, g->setting[i],
                                   settings[i].origin);
        if (st)
            return st;
    }
    return PS_OK;
}

static ps_status check(const ps_worker_conf *c, const ps_conf_doc *doc)
{
    if (c->reconnect.min_ms > c->reconnect.max_ms)
        return ps_conf_fail(doc, "reconnect.min", "is more than reconnect.max");
    for (size_t i = 0; i < c->n_data_roots; i++)
        if (c->data_roots[i][0] != '/')
            return ps_conf_fail(doc, "data_roots", "'%s' must be an absolute path",
                                c->data_roots[i]);
    return PS_OK;
}

static ps_status split_server(ps_worker_options *o, const given *g)
{
    char *origin = NULL;
    if (!g->setting[SERVER])
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

static ps_status load(const given *g, ps_worker_options *o)
{
    ps_conf_doc *doc = NULL;
    void *data = NULL;
    const char *path = g->config ? g->config : DEFAULT_CONFIG;
    ps_status st = ps_conf_load_file(&ps_worker_schema, path, &doc, &data);
    if (st == PS_NOT_FOUND && !g->config)
        return ps_wrap(st, "no configuration, and no --config");
    if (st)
        return st;
    o->conf = data;
    o->config_path = ps_strdup(path);
    st = check(o->conf, doc);
    ps_conf_doc_free(&doc);
    if (!st)
        st = apply_flags(g, o->conf);
    return st ? st : split_server(o, g);
}

ps_status ps_worker_options_parse(int argc, char **argv, ps_worker_options **out)
{
    given g = {0};
    ps_status st = read_flags(argc, argv, &g);
    if (st)
        return st;
    ps_worker_options *o = ps_new(ps_worker_options);
    o->help = g.help;
    o->version = g.version;
    if (!g.help && !g.version)
        st = load(&g, o);
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
