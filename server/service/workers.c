#include "psd/v1/workers.pb-c.h"

#include "common/base/mem.h"
#include "server/service/page.h"
#include "server/service/task_message.h"
#include "server/service/unary.h"

/* At most `rows` of them, and so many that the page holds them: one more says that there are more.
 */
static void put(Psd__V1__ListWorkersResponse *out, const ps_worker_info *all, size_t n, size_t rows)
{
    size_t bytes = 0;
    out->workers = ps_alloc_array(n + 1, sizeof *out->workers);
    while (out->n_workers < n && out->n_workers < rows && bytes < PS_PAGE_BYTES) {
        Psd__V1__Worker *worker = ps_worker_message_new(&all[out->n_workers]);
        bytes += psd__v1__worker__get_packed_size(worker);
        out->workers[out->n_workers++] = worker;
    }
    if (out->n_workers < n)
        out->next_page_token = ps_page_token("workers", 0, all[out->n_workers - 1].name);
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
        PS_REPLY_NEW(Psd__V1__ListWorkersResponse, psd__v1__list_workers_response);
    size_t n;
    ps_worker_info *all = ps_sched_workers(services->sched, page.after, page.rows + 1, &n);
    put(out, all, n, page.rows);
    ps_worker_infos_free(&all, n);
    *reply = &out->base;
    return PS_OK;
}

const ps_unary_method ps_workers_unary[] = {
    {"/psd.v1.Workers/List", &psd__v1__list_workers_request__descriptor,
     &psd__v1__list_workers_response__descriptor, list},
    {0},
};

const ps_rpc_method ps_workers_calls[] = {
    {.name = "Attach",
     .request = &psd__v1__worker_message__descriptor,
     .stream = ps_workers_attach},
    {0},
};
