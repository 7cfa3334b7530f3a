/* quota: what an identity may use of the server, and does. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "psd/v1/admin.pb-c.h"

#include <inttypes.h>
#include <string.h>

typedef struct options {
    bool all;
} options;

static const ps_flag flags[] = {
    {.name = "all",
     .letter = 'a',
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, all),
     .help = "of everybody since the server's start; observers and admins"},
    {.name = NULL},
};

static void use_json(ps_json_writer *w, const Psd__V1__QuotaUse *use)
{
    ps_json_object(w);
    ps_json_put_string(w, "quota", use->name);
    ps_json_put_uint(w, "used", use->used);
    ps_json_put_uint(w, "limit", use->limit);
    ps_json_put_uint(w, "refused", use->refused);
    ps_json_object_end(w);
}

static void write_json(ps_client *client, const Psd__V1__QuotasResponse *r)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_key(&w, "identities");
    ps_json_array(&w);
    for (size_t i = 0; i < r->n_identities; i++) {
        ps_json_object(&w);
        ps_json_put_string(&w, "identity", r->identities[i]->identity);
        ps_json_key(&w, "quotas");
        ps_json_array(&w);
        for (size_t q = 0; q < r->identities[i]->n_quotas; q++)
            use_json(&w, r->identities[i]->quotas[q]);
        ps_json_array_end(&w);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_put_uint(&w, "left_out", r->left_out);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

/* What there may be as psd.yaml has it, and what there is in the same powers. */
static void put_amounts(ps_table *t, const Psd__V1__QuotaUse *use)
{
    ps_human used = ps_human_binary((double)use->used), limit = ps_human_size(use->limit);
    if (use->limit && !strstr(limit.text, "iB"))
        used = ps_human_bytes((double)use->used);
    if (use->bytes)
        ps_table_text(t, used.text);
    else
        ps_table_printf(t, "%" PRIu64, use->used);
    if (!use->limit)
        ps_table_text(t, "");
    else if (use->bytes)
        ps_table_text(t, limit.text);
    else
        ps_table_printf(t, "%" PRIu64, use->limit);
}

static void put_use(ps_table *t, const char *who, const Psd__V1__QuotaUse *use)
{
    bool full = use->limit && use->used >= use->limit;
    if (who)
        ps_table_text(t, who);
    ps_table_color(t, full ? PS_COLOR_YELLOW : PS_COLOR_NONE, use->name);
    put_amounts(t, use);
    ps_table_printf(t, "%" PRIu64, use->refused);
}

/* ROLE/NAME, as quotas.identities of psd.yaml has it. */
static const char *short_name(const char *identity)
{
    const char *role = NULL, *name = strrchr(identity, '/');
    for (const char *at = identity; name && at < name; at++)
        if (*at == '/')
            role = at + 1;
    return role ? role : identity;
}

/* Of many only what says something. */
static void write_text(ps_client *client, const Psd__V1__QuotasResponse *r, bool all)
{
    static const char *const headers[] = {"identity", "quota", ">used", ">limit", ">refused", NULL};
    ps_table *t = ps_table_new(all ? headers : headers + 1);
    for (size_t i = 0; i < r->n_identities; i++) {
        const Psd__V1__IdentityUse *of = r->identities[i];
        for (size_t q = 0; q < of->n_quotas; q++) {
            const Psd__V1__QuotaUse *use = of->quotas[q];
            if (!all || use->used || use->limit || use->refused)
                put_use(t, all ? short_name(of->identity) : NULL, use);
        }
    }
    if (!all && r->n_identities)
        ps_buf_printf(&client->out, "%s\n", r->identities[0]->identity);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
    if (r->left_out)
        ps_buf_printf(&client->out, "and %" PRIu64 " more\n", r->left_out);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__QuotasRequest request = PSD__V1__QUOTAS_REQUEST__INIT;
    request.all = o->all;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Quotas", &request.base,
                                   &psd__v1__quotas_response__descriptor, &reply);
    if (st)
        return st;
    const Psd__V1__QuotasResponse *r = (const Psd__V1__QuotasResponse *)(void *)reply;
    if (client->json)
        write_json(client, r);
    else
        write_text(client, r, o->all);
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_quota = {
    .name = "quota",
    .operands = "",
    .help = "how much of the server you may use, and do",
    .flags = flags,
    .options_size = sizeof(options),
    .run = run,
};
