/* models: the list of those that are stored. */
#include "client/call/client.h"
#include "client/call/list.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/model_tree.h"
#include "client/show/model_view.h"
#include "common/base/clock.h"

typedef struct options {
    bool tree;
} options;

static const ps_flag flags[] = {
    {.name = "tree",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, tree),
     .help = "each below the model that it was made of"},
    {.name = NULL},
};

static void show_list(ps_client *client, const Psd__V1__ListModelsResponse *list, bool tree)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_key(&w, "models");
        ps_json_array(&w);
        for (size_t i = 0; i < list->n_models; i++)
            ps_model_json(&w, list->models[i]);
        ps_json_array_end(&w);
        ps_json_object_end(&w);
        ps_json_finish(client);
        return;
    }
    if (list->n_models == 0) {
        ps_buf_puts(&client->out, "no models\n");
        return;
    }
    if (tree) {
        ps_model_tree(&client->out, &client->style, list->models, list->n_models);
        return;
    }
    ps_table *t = ps_table_new(ps_model_headers);
    for (size_t i = 0; i < list->n_models; i++)
        ps_model_row(t, list->models[i], ps_clock_wall_ms(&ps_clock_system));
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__ListModelsRequest request = PSD__V1__LIST_MODELS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_list(client, "/psd.v1.Models/List", &request.base,
                                  &psd__v1__list_models_response__descriptor, 0, &reply);
    if (st)
        return st;
    show_list(client, (const Psd__V1__ListModelsResponse *)(void *)reply, o->tree);
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_models = {
    .name = "models",
    .operands = "",
    .help = "list the stored models",
    .flags = flags,
    .options_size = sizeof(options),
    .run = run,
};
