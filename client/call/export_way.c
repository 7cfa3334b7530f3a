/* Happy path: texts of recipients, each looked at; with any at all there is a row that encrypts. */
#include "client/call/export_way.h"

ps_status ps_export_way_begin(ps_client *client, const ps_texts *given, ps_export_way *way)
{
    *way = (ps_export_way){.age = NULL};
    for (size_t i = 0; i < given->n; i++)
        if (ps_age_recipients_add(&way->recipients, given->at[i]))
            return ps_client_usage(client, "--recipient: %s", ps_error_message());
    return PS_OK;
}

/* A file that its maker cannot open is no export of his: who reads it is said, not guessed. */
static ps_status nobody_named(ps_client *client, const Psd__V1__Model *model)
{
    return ps_client_usage(client,
                           "this psd has every export encrypted, for %zu recipient%s of its own "
                           "(sealing.export_recipients): name who is to open this one besides, "
                           "--recipient age1…, or again one of its own, %s",
                           model->n_export_recipients, model->n_export_recipients == 1 ? "" : "s",
                           model->export_recipients[0]);
}

ps_status ps_export_way_settle(ps_client *client, const Psd__V1__Model *model, ps_export_way *way)
{
    if (model->n_export_recipients && !way->recipients.n)
        return nobody_named(client, model);
    for (size_t i = 0; i < model->n_export_recipients; i++) {
        ps_status st = ps_age_recipients_add(&way->recipients, model->export_recipients[i]);
        if (st)
            return ps_wrap(st, "a recipient of psd's (sealing.export_recipients)");
    }
    if (way->recipients.n)
        way->age = ps_age_disk_new(
            &(ps_age_disk_conf){.disk = &ps_disk_system, .recipients = &way->recipients});
    return PS_OK;
}

void ps_export_way_clear(ps_export_way *way)
{
    ps_age_disk_free(&way->age);
}

const ps_disk *ps_export_way_disk(const ps_export_way *way)
{
    return way->age ? ps_age_disk_row(way->age) : NULL;
}

const char *ps_export_way_ending(const ps_export_way *way)
{
    return way->age ? PS_AGE_ENDING : "";
}
