/* Happy path: a part comes from its flag, else from the environment, else from the context that
 * --context, PSCTL_CONTEXT or the file's `current` names. Fails with what is missing and the three
 * ways to give it. */
#include "client/cli/context.h"

#include "client/cli/context_comments.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/conf/blocks.h"
#include "common/conf/conf.h"
#include "common/json/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const ps_conf_key context_keys[] = {
    PS_CONF_TEXT("name", ps_context, name, NULL, 1, 63),
    PS_CONF_TEXT("server", ps_context, server, "", 0, 300),
    PS_CONF_TEXT("ca", ps_context, ca, "", 0, 4095),
    PS_CONF_TEXT("certificate", ps_context, certificate, "", 0, 4095),
    PS_CONF_TEXT("key", ps_context, key, "", 0, 4095),
    PS_CONF_TEXT("signer_certificate", ps_context, signer_certificate, "", 0, 4095),
    PS_CONF_TEXT("signer_key", ps_context, signer_key, "", 0, 4095),
    PS_CONF_TEXT("crl", ps_context, crl, "", 0, 4095),
    PS_CONF_TEXT("crl_expired", ps_context, crl_expired, "", 0, 15),
    PS_CONF_END,
};
static const ps_conf_key contexts_keys[] = {
    PS_CONF_TEXT("current", ps_contexts, current, "", 0, 63),
    PS_CONF_NAMED("contexts", ps_contexts, contexts, context_keys, 1000),
    PS_CONF_END,
};
static const ps_conf_schema contexts_schema = {.keys = contexts_keys, .size = sizeof(ps_contexts)};

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

char *ps_context_path(void)
{
    const char *file = env("PSCTL_CONFIG"), *base = env("XDG_CONFIG_HOME"), *home = env("HOME");
    if (file)
        return ps_strdup(file);
    if (base)
        return ps_asprintf("%s/psctl/config.yaml", base);
    return home ? ps_asprintf("%s/.config/psctl/config.yaml", home) : NULL;
}

/* The file ------------------------------------------------------------------------------------- */

ps_status ps_contexts_load(const char *path, ps_contexts **out)
{
    void *data = NULL;
    ps_status st = ps_conf_load_file(&contexts_schema, path, NULL, &data);
    if (st == PS_NOT_FOUND)
        st = ps_conf_defaults(&contexts_schema, &data);
    if (st)
        return st;
    *out = data;
    return PS_OK;
}

void ps_contexts_free(ps_contexts **contexts)
{
    ps_conf_free(&contexts_schema, *contexts);
    *contexts = NULL;
}

ps_context *ps_contexts_find(const ps_contexts *contexts, const char *name)
{
    for (size_t i = 0; i < contexts->n_contexts; i++)
        if (!strcmp(contexts->contexts[i].name, name))
            return &contexts->contexts[i];
    return NULL;
}

ps_context *ps_contexts_add(ps_contexts *contexts, const char *name)
{
    size_t n = contexts->n_contexts;
    contexts->contexts = ps_realloc(contexts->contexts, (n + 1) * sizeof *contexts->contexts);
    contexts->n_contexts = n + 1;
    ps_context *c = &contexts->contexts[n];
    *c = (ps_context){.name = ps_strdup(name),
                      .server = ps_strdup(""),
                      .ca = ps_strdup(""),
                      .certificate = ps_strdup(""),
                      .key = ps_strdup(""),
                      .signer_certificate = ps_strdup(""),
                      .signer_key = ps_strdup(""),
                      .crl = ps_strdup(""),
                      .crl_expired = ps_strdup("")};
    return c;
}

bool ps_contexts_remove(ps_contexts *contexts, const char *name)
{
    ps_context *gone = ps_contexts_find(contexts, name);
    if (!gone)
        return false;
    if (!strcmp(contexts->current, name))
        contexts->current[0] = '\0';
    ps_context_clear(gone);
    size_t behind = (size_t)(contexts->contexts + contexts->n_contexts - (gone + 1));
    memmove(gone, gone + 1, behind * sizeof *gone);
    contexts->n_contexts--;
    return true;
}

/* YAML's double-quoted form is JSON's. */
static void put_line(ps_buf *out, const char *key, const char *value)
{
    if (!*value)
        return;
    ps_buf_printf(out, "    %s: ", key);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_string(&w, value);
    ps_buf_putc(out, '\n');
}

/* What is in the file that will be replaced; one that is not there has no comments. */
static void keep_comments(const char *path, ps_buf *out)
{
    ps_buf old = PS_BUF_EMPTY;
    if (ps_disk_read_file(&ps_disk_system, path, PS_CONF_MAX_BYTES, &old) == PS_OK)
        ps_context_comments(ps_buf_slice(&old), out);
    ps_buf_free(&old);
}

static void write_yaml(const char *path, const ps_contexts *contexts, ps_buf *out)
{
    ps_buf_puts(out, "# written by psctl context; see psctl(1)\n");
    keep_comments(path, out);
    if (*contexts->current)
        ps_buf_printf(out, "current: \"%s\"\n", contexts->current);
    ps_buf_puts(out, "contexts:\n");
    for (size_t i = 0; i < contexts->n_contexts; i++) {
        const ps_context *c = &contexts->contexts[i];
        bool empty = !*c->server && !*c->ca && !*c->certificate && !*c->key &&
                     !*c->signer_certificate && !*c->signer_key && !*c->crl && !*c->crl_expired;
        ps_buf_printf(out, "  \"%s\":%s\n", c->name, empty ? " {}" : "");
        put_line(out, "server", c->server);
        put_line(out, "ca", c->ca);
        put_line(out, "certificate", c->certificate);
        put_line(out, "key", c->key);
        put_line(out, "signer_certificate", c->signer_certificate);
        put_line(out, "signer_key", c->signer_key);
        put_line(out, "crl", c->crl);
        put_line(out, "crl_expired", c->crl_expired);
    }
}

static ps_status make_parents(const char *path)
{
    char *copy = ps_strdup(path);
    ps_status st = PS_OK;
    for (char *slash = strchr(copy + 1, '/'); slash && !st; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            st = ps_fail_errno(errno, "cannot make the folder %s", copy);
        *slash = '/';
    }
    ps_free(&copy);
    return st;
}

ps_status ps_contexts_save(const char *path, const ps_contexts *contexts)
{
    ps_status st = make_parents(path);
    if (st)
        return st;
    ps_buf text = PS_BUF_EMPTY;
    write_yaml(path, contexts, &text);
    st = ps_new_file_save(path, ps_buf_slice(&text),
                          &(ps_new_file_options){.force = true, .mode = 0600});
    ps_buf_free(&text);
    return st;
}

/* What is to be used ----------------------------------------------------------------------------
 */

/* A path of the file, made usable from here. */
static char *beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (!*path || *path == '/' || !slash)
        return ps_strdup(path);
    return ps_asprintf("%.*s/%s", (int)(slash - file), file, path);
}

static ps_status from_file(const ps_globals *globals, ps_context *out)
{
    const char *name = globals->context ? globals->context : env("PSCTL_CONTEXT");
    char *path = ps_context_path();
    if (!path)
        return name ? ps_fail(PS_NOT_FOUND, "no context '%s': neither PSCTL_CONFIG nor HOME is set",
                              name)
                    : PS_OK;
    ps_contexts *all = NULL;
    ps_status st = ps_contexts_load(path, &all);
    if (st)
        goto free_path;
    if (!name && *all->current)
        name = all->current;
    const ps_context *found = name ? ps_contexts_find(all, name) : NULL;
    if (name && !found)
        st = ps_fail(PS_NOT_FOUND, "no context '%s' in %s; 'psctl context list' shows those there",
                     name, path);
    if (found)
        *out = (ps_context){.name = ps_strdup(found->name),
                            .server = ps_strdup(found->server),
                            .ca = beside(path, found->ca),
                            .certificate = beside(path, found->certificate),
                            .key = beside(path, found->key),
                            .signer_certificate = beside(path, found->signer_certificate),
                            .signer_key = beside(path, found->signer_key),
                            .crl = beside(path, found->crl),
                            .crl_expired = ps_strdup(found->crl_expired)};
    ps_contexts_free(&all);
free_path:
    ps_free(&path);
    return st;
}

static void override(char **part, const char *flag, const char *variable)
{
    const char *value = flag ? flag : env(variable);
    if (!value)
        return;
    ps_free(part);
    *part = ps_strdup(value);
}

static ps_status check_complete(const ps_context *c)
{
    const struct {
        const char *value, *what, *flag, *variable;
    } parts[] = {
        {c->server, "server", "--server HOST[:PORT]", "PSCTL_SERVER"},
        {c->ca, "CA certificate", "--ca FILE", "PSCTL_CA"},
        {c->certificate, "certificate", "--cert FILE", "PSCTL_CERT"},
        {c->key, "key", "--key FILE", "PSCTL_KEY"},
    };
    for (size_t i = 0; i < 4; i++)
        if (!parts[i].value || !*parts[i].value)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "no %s: give %s, or %s in the environment, or a context "
                           "('psctl help context set', 'psctl context use NAME')",
                           parts[i].what, parts[i].flag, parts[i].variable);
    return PS_OK;
}

static ps_status check_crl_expired(const ps_context *c)
{
    if (!c->crl_expired || !*c->crl_expired)
        return PS_OK;
    for (const char *const *w = ps_conf_crl_expired_words; *w; w++)
        if (!strcmp(c->crl_expired, *w))
            return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "crl_expired: '%s' is neither refuse nor warn",
                   c->crl_expired);
}

char *ps_context_with_port(const char *server)
{
    char *host = ps_strdup("");
    int64_t port = -1;
    bool none = !ps_conf_parse_endpoint(server, "", &host, &port) && *host && port < 0;
    char *out = none && strchr(host, ':') ? ps_asprintf("[%s]:%d", host, PS_CONTEXT_PORT)
                : none                    ? ps_asprintf("%s:%d", host, PS_CONTEXT_PORT)
                                          : ps_strdup(server);
    ps_free(&host);
    return out;
}

ps_status ps_context_resolve(const ps_globals *globals, ps_context *out)
{
    ps_context c = {0};
    bool complete = globals->server && globals->ca && globals->cert && globals->key;
    ps_status st = complete && !globals->context ? PS_OK : from_file(globals, &c);
    if (st)
        return st;
    override(&c.server, globals->server, "PSCTL_SERVER");
    override(&c.ca, globals->ca, "PSCTL_CA");
    override(&c.certificate, globals->cert, "PSCTL_CERT");
    override(&c.key, globals->key, "PSCTL_KEY");
    override(&c.crl, globals->crl, "PSCTL_CRL");
    override(&c.crl_expired, globals->crl_expired, "PSCTL_CRL_EXPIRED");
    st = check_complete(&c);
    if (!st)
        st = check_crl_expired(&c);
    if (st) {
        ps_context_clear(&c);
        return st;
    }
    char *server = ps_context_with_port(c.server);
    ps_free(&c.server);
    c.server = server;
    *out = c;
    return PS_OK;
}

static char *set_or_null(const char *part)
{
    return part && *part ? ps_strdup(part) : NULL;
}

ps_status ps_context_signer(const ps_globals *globals, char **key, char **certificate)
{
    ps_context c = {0};
    ps_status st = from_file(globals, &c);
    if (st)
        return st;
    *key = set_or_null(c.signer_key);
    if (certificate)
        *certificate = set_or_null(c.signer_certificate);
    ps_context_clear(&c);
    return PS_OK;
}

void ps_context_clear(ps_context *context)
{
    ps_free(&context->name);
    ps_free(&context->server);
    ps_free(&context->ca);
    ps_free(&context->certificate);
    ps_free(&context->key);
    ps_free(&context->signer_certificate);
    ps_free(&context->signer_key);
    ps_free(&context->crl);
    ps_free(&context->crl_expired);
}
