/* context: servers and identities under names, in the user's context file. */
#include "client/cli/context.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/conf/blocks.h"
#include "common/security/identity.h"

#include <string.h>

typedef struct options {
    bool use;
    const char *signer_cert, *signer_key;
} options;

static ps_status load(char **path, ps_contexts **all)
{
    *path = ps_context_path();
    if (!*path)
        return ps_fail(PS_FAILED_PRECONDITION, "neither PSCTL_CONFIG nor HOME is set");
    ps_status st = ps_contexts_load(*path, all);
    if (st)
        ps_free(path);
    return st;
}

static void show(ps_client *client, const ps_contexts *all)
{
    static const char *const headers[] = {"", "NAME", "SERVER", "CERTIFICATE", NULL};
    if (all->n_contexts == 0) {
        ps_buf_puts(&client->out, "no contexts; 'psctl help context set' says how to make one\n");
        return;
    }
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < all->n_contexts; i++) {
        const ps_context *c = &all->contexts[i];
        bool current = !strcmp(c->name, all->current);
        ps_table_text(t, current ? "*" : "");
        ps_table_color(t, current ? PS_COLOR_GREEN : PS_COLOR_NONE, c->name);
        ps_table_text(t, c->server);
        ps_table_text(t, c->certificate);
    }
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static void put_context(ps_json_writer *w, const ps_context *c)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", c->name);
    ps_json_put_string(w, "server", c->server);
    ps_json_put_string(w, "ca", c->ca);
    ps_json_put_string(w, "certificate", c->certificate);
    ps_json_put_string(w, "key", c->key);
    ps_json_put_string(w, "signer_certificate", c->signer_certificate);
    ps_json_put_string(w, "signer_key", c->signer_key);
    ps_json_put_string(w, "crl", c->crl);
    ps_json_put_string(w, "crl_expired", c->crl_expired);
    ps_json_object_end(w);
}

static void show_json(ps_client *client, const ps_contexts *all)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "current", *all->current ? all->current : NULL);
    ps_json_key(&w, "contexts");
    ps_json_array(&w);
    for (size_t i = 0; i < all->n_contexts; i++) {
        const ps_context *c = &all->contexts[i];
        put_context(&w, c);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static ps_status run_list(ps_client *client, const ps_args *args)
{
    (void)args;
    char *path = NULL;
    ps_contexts *all = NULL;
    ps_status st = load(&path, &all);
    if (st)
        return st;
    if (client->json)
        show_json(client, all);
    else
        show(client, all);
    ps_contexts_free(&all);
    ps_free(&path);
    return PS_OK;
}

static ps_status not_there(const char *name, const char *path)
{
    return ps_fail(PS_NOT_FOUND, "no context '%s' in %s; 'psctl context list' shows those there",
                   name, path);
}

static ps_status run_use(ps_client *client, const ps_args *args)
{
    const char *name = args->operands.at[0];
    char *path = NULL;
    ps_contexts *all = NULL;
    ps_status st = load(&path, &all);
    if (st)
        return st;
    if (ps_contexts_find(all, name)) {
        ps_free(&all->current);
        all->current = ps_strdup(name);
        st = ps_contexts_save(path, all);
    } else {
        st = not_there(name, path);
    }
    if (!st && client->json)
        show_json(client, all);
    else if (!st)
        ps_buf_printf(&client->out, "psctl talks to %s now (context %s)\n",
                      ps_contexts_find(all, name)->server, name);
    ps_contexts_free(&all);
    ps_free(&path);
    return st;
}

static void show_one(ps_client *client, const ps_context *c, bool current)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        put_context(&w, c);
        ps_json_finish(client);
        return;
    }
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "name", current ? "%s (current)" : "%s", c->name);
    ps_table_field(t, "server", "%s", c->server);
    ps_table_field(t, "ca", "%s", c->ca);
    ps_table_field(t, "certificate", "%s", c->certificate);
    ps_table_field(t, "key", "%s", c->key);
    ps_table_field(t, "signer certificate", "%s", c->signer_certificate);
    ps_table_field(t, "signer key", "%s", c->signer_key);
    if (*c->crl)
        ps_table_field(t, "crl", "%s (expired: %s)", c->crl,
                       *c->crl_expired ? c->crl_expired : "refuse");
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run_show(ps_client *client, const ps_args *args)
{
    char *path = NULL;
    ps_contexts *all = NULL;
    ps_status st = load(&path, &all);
    if (st)
        return st;
    const char *name = args->operands.n ? args->operands.at[0] : all->current;
    const ps_context *c = ps_contexts_find(all, name);
    if (!*name)
        st = ps_fail(PS_NOT_FOUND, "no context is the current one; 'psctl context list' shows all");
    else if (!c)
        st = not_there(name, path);
    else
        show_one(client, c, !strcmp(name, all->current));
    ps_contexts_free(&all);
    ps_free(&path);
    return st;
}

/* The files that it names stay: they are the certificates. */
static ps_status run_delete(ps_client *client, const ps_args *args)
{
    const char *name = args->operands.at[0];
    char *path = NULL;
    ps_contexts *all = NULL;
    ps_status st = load(&path, &all);
    if (st)
        return st;
    bool current = !strcmp(name, all->current);
    if (!ps_contexts_remove(all, name))
        st = not_there(name, path);
    else
        st = ps_contexts_save(path, all);
    if (!st && client->json)
        show_json(client, all);
    else if (!st)
        ps_buf_printf(&client->out, "context %s is deleted%s\n", name,
                      current ? "; none is the current one now" : "");
    ps_contexts_free(&all);
    ps_free(&path);
    return st;
}

/* Files are kept as paths that are right wherever psctl is started. */
static ps_status set_path(char **part, const char *value)
{
    char *absolute = NULL;
    ps_status st = value ? ps_absolute_path(value, &absolute) : PS_OK;
    if (!st && absolute) {
        ps_free(part);
        *part = absolute;
    }
    return st;
}

static ps_status set_parts(ps_context *c, const ps_globals *g)
{
    ps_status st = PS_OK;
    if (g->server) {
        char *host = ps_strdup("");
        int64_t port = PS_CONTEXT_PORT;
        st = ps_conf_parse_endpoint(g->server, "--server", &host, &port);
        if (!st && (!*host || port == 0))
            st = ps_fail(PS_INVALID_ARGUMENT, "--server: '%s' is not HOST[:PORT]", g->server);
        ps_free(&host);
        if (st)
            return st;
        ps_free(&c->server);
        c->server = ps_context_with_port(g->server);
    }
    st = set_path(&c->ca, g->ca);
    if (!st)
        st = set_path(&c->certificate, g->cert);
    if (!st)
        st = set_path(&c->key, g->key);
    if (!st && g->crl_expired) {
        ps_free(&c->crl_expired);
        c->crl_expired = ps_strdup(g->crl_expired);
    }
    return st ? st : set_path(&c->crl, g->crl);
}

static ps_status run_set(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const char *name = args->operands.at[0];
    ps_status st = ps_identity_check_part("context", ps_slice_str(name));
    char *path = NULL;
    ps_contexts *all = NULL;
    if (!st)
        st = load(&path, &all);
    if (st)
        return st;
    ps_context *c = ps_contexts_find(all, name);
    if (!c)
        c = ps_contexts_add(all, name);
    st = set_parts(c, &client->globals);
    if (!st)
        st = set_path(&c->signer_certificate, o->signer_cert);
    if (!st)
        st = set_path(&c->signer_key, o->signer_key);
    if (!st && (o->use || !*all->current)) {
        ps_free(&all->current);
        all->current = ps_strdup(name);
    }
    if (!st)
        st = ps_contexts_save(path, all);
    if (!st && client->json)
        show_json(client, all);
    else if (!st)
        ps_buf_printf(&client->out, "context %s is kept in %s%s\n", name, path,
                      strcmp(all->current, name) ? "" : " and is the current one");
    ps_contexts_free(&all);
    ps_free(&path);
    return st;
}

static const ps_flag set_flags[] = {
    {.name = "use",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, use),
     .help = "make it the current one"},
    {.name = "signer-cert",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, signer_cert),
     .value = "FILE",
     .help = "certificate with which you sign models"},
    {.name = "signer-key",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, signer_key),
     .value = "FILE",
     .help = "its private key"},
    {.name = NULL},
};

const ps_command ps_command_context_list = {
    .name = "context list",
    .operands = "",
    .help = "list the contexts; * is the current one",
    .run = run_list,
};

const ps_command ps_command_context_use = {
    .name = "context use",
    .operands = "NAME",
    .help = "make a context the current one",
    .least = 1,
    .most = 1,
    .run = run_use,
};

const ps_command ps_command_context_set = {
    .name = "context set",
    .operands = "NAME",
    .help = "make or change a context",
    .details = "What it holds is given by the flags of every command:\n\n"
               "  psctl context set lab --server psd.example.org --ca ca.pem \\\n"
               "      --cert you.pem --key you.key\n\n"
               "Flags that are not given leave their part as it was. The first context that is\n"
               "made becomes the current one.\n",
    .flags = set_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run_set,
};

const ps_command ps_command_context_show = {
    .name = "context show",
    .operands = "[NAME]",
    .help = "what a context holds (default: the current one)",
    .most = 1,
    .run = run_show,
};

const ps_command ps_command_context_delete = {
    .name = "context delete",
    .operands = "NAME",
    .help = "forget a context; its certificates stay",
    .least = 1,
    .most = 1,
    .run = run_delete,
};
