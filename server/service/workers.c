#include "psd/v1/workers.pb-c.h"

#include "server/service/page.h"
#include "server/service/unary.h"

/* Those that the page does not hold go again: one more than `rows` says that there are more. */
static void cut(Psd__V1__ListWorkersResponse *list, size_t rows)
{
    size_t kept = 0, bytes = 0;
    while (kept < list->n_workers && kept < rows && bytes < PS_PAGE_BYTES)
        bytes += psd__v1__worker__get_packed_size(list->workers[kept++]);
    if (kept == list->n_workers)
        return;
    for (size_t i = kept; i < list->n_workers; i++)
        psd__v1__worker__free_unpacked(list->workers[i], NULL);
    list->n_workers = kept;
    list->next_page_token = ps_page_token("workers", 0, list->workers[kept - 1]->name);
}

static ps_status list(ps_services *services, const ps_caller *caller,
                      const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__ListWorkersRequest *in = (const Psd__V1__ListWorkersRequest *)request;
    ps_page page;
    ps_status st = ps_page_read("workers", 0, in->page_size, in->page_token, &page);
    if (st)
        return st;
    Psd__V1__ListWorkersResponse *out =
        ps_sched_workers(services->sched, page.after, page.rows + 1);
    cut(out, page.rows);
    *reply = &out->base;
    return PS_OK;
}
PS_UNARY(list)

const ps_rpc_method ps_workers_methods[] = {
    {.name = "Attach",
     .request = &psd__v1__worker_message__descriptor,
     .stream = ps_workers_attach},
    {.name = "List", .request = &psd__v1__list_workers_request__descriptor, .unary = list_cb},
    {0},
};
