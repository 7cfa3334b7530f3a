/* Happy path: flags say which file, the file gives the struct, flags are set on top of it. Failure:
 * an unknown flag, one without its value, and what the file or a flag says wrongly. */
#include "common/conf/options.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_FLAG = 256, OPT_VERSION = OPT_FLAG + PS_CONF_FLAGS_MAX, N_FIXED = 3, N_LETTERS = 5 };

/* The tables that getopt wants. */
typedef struct getopt_tables {
    struct option all[N_FIXED + PS_CONF_FLAGS_MAX + 1];
    char letters[N_LETTERS + 2 * PS_CONF_FLAGS_MAX];
} getopt_tables;

static void make_tables(const ps_conf_program *program, getopt_tables *out)
{
    static const struct option fixed[N_FIXED] = {{"config", required_argument, NULL, 'c'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {"version", no_argument, NULL, OPT_VERSION}};
    *out = (getopt_tables){.letters = ":c:h"};
    memcpy(out->all, fixed, sizeof fixed);
    size_t n = strlen(out->letters);
    for (int i = 0; program->flags[i].name; i++) {
        const ps_conf_flag *flag = &program->flags[i];
        PS_REQUIRE(i < PS_CONF_FLAGS_MAX);
        int takes = flag->plain ? no_argument : required_argument;
        out->all[N_FIXED + i] = (struct option){flag->name, takes, NULL, OPT_FLAG + i};
        if (flag->letter) {
            out->letters[n++] = flag->letter;
            if (!flag->plain)
                out->letters[n++] = ':';
        }
    }
}

static void keep(const ps_conf_program *program, int c, ps_conf_options *out)
{
    for (int i = 0; program->flags[i].name; i++)
        if (c == OPT_FLAG + i || c == program->flags[i].letter)
            out->given[i] = optarg ? optarg : "";
}

static ps_status read_flags(const ps_conf_program *program, int argc, char **argv,
                            const char **config, ps_conf_options *out)
{
    getopt_tables tables;
    make_tables(program, &tables);
    optind = 0; /* glibc: start over */
    opterr = 0;
    for (int c = 0; (c = getopt_long(argc, argv, tables.letters, tables.all, NULL)) != -1;) {
        switch (c) {
        case 'c':
            *config = optarg;
            break;
        case 'h':
            out->help = true;
            break;
        case OPT_VERSION:
            out->version = true;
            break;
        case ':':
            return ps_fail(PS_INVALID_ARGUMENT, "%s needs a value; see --help", argv[optind - 1]);
        case '?':
            return ps_fail(PS_INVALID_ARGUMENT, "%s is not an option of %s; see --help",
                           argv[optind - 1], program->name);
        default:
            keep(program, c, out);
        }
    }
    if (optind < argc)
        return ps_fail(PS_INVALID_ARGUMENT, "'%s': %s takes no arguments; see --help", argv[optind],
                       program->name);
    return PS_OK;
}

static ps_status apply(const ps_conf_program *program, ps_conf_options *out)
{
    ps_status st = PS_OK;
    for (int i = 0; program->flags[i].name && !st; i++) {
        const ps_conf_flag *flag = &program->flags[i];
        const char *text = out->given[i];
        if (!text || (!flag->path && !flag->apply))
            continue;
        char *origin = ps_asprintf("--%s", flag->name);
        if (flag->path)
            st = ps_conf_set(program->schema, out->conf, flag->path, text, origin);
        else
            st = flag->apply(out->conf, text, origin);
        ps_free(&origin);
    }
    return st;
}

static ps_status load(const ps_conf_program *program, const char *config, ps_conf_options *out)
{
    ps_conf_doc *doc = NULL;
    const char *path = config ? config : program->default_config;
    ps_status st = ps_conf_load_file(program->schema, path, &doc, &out->conf);
    if (st == PS_NOT_FOUND && !config)
        return ps_wrap(st, "no configuration, and no --config");
    if (st)
        return st;
    st = program->check(out->conf, doc);
    if (!st)
        st = apply(program, out);
    if (st) {
        ps_conf_doc_free(&doc);
        ps_conf_free(program->schema, out->conf);
        return st;
    }
    out->config_path = ps_strdup(path);
    out->doc = doc;
    return PS_OK;
}

char *ps_conf_options_where(const ps_conf_program *program, const ps_conf_options *options,
                            int flag, const char *path)
{
    if (options->given[flag])
        return ps_asprintf("--%s", program->flags[flag].name);
    return ps_conf_where(options->doc, path);
}

ps_status ps_conf_options_parse(const ps_conf_program *program, int argc, char **argv,
                                ps_conf_options *out)
{
    const char *config = NULL;
    *out = (ps_conf_options){0};
    ps_status st = read_flags(program, argc, argv, &config, out);
    return st || out->help || out->version ? st : load(program, config, out);
}

void ps_conf_options_complain(const char *program)
{
    for (const char *line = ps_error_message(); *line;) {
        size_t len = strcspn(line, "\n");
        (void)fprintf(stderr, "%s: %.*s\n", program, (int)len, line);
        line += len + (line[len] != '\0');
    }
}
