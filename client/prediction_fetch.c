#include "client/prediction_fetch.h"

#include "client/prediction.h"
#include "client/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

typedef struct receiver {
    ps_client *client;
    ps_predictions predictions;
} receiver;

static ps_status chunk(void *user, ps_slice bytes)
{
    receiver *r = user;
    ps_slice payload;
    uint64_t total;
    ps_status st = ps_read_file_chunk(bytes, &payload, &total);
    if (st)
        return st;
    st = ps_predictions_feed(&r->predictions, payload, &r->client->out);
    ps_status written = ps_output_flush(&r->client->out, STDOUT_FILENO);
    return written ? written : st; /* st may be that these were enough rows */
}

ps_status ps_predictions_fetch(ps_client *client, uint64_t job_id, const ps_spec_model *model,
                               uint64_t begin, uint64_t end)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = job_id;
    request.name = ps_borrow("predictions.jsonl");
    receiver r = {.client = client};
    ps_predictions_init(&r.predictions, begin, end, client->json, client->style);
    if (model) {
        r.predictions.names = model->classes;
        r.predictions.n_names = model->n_classes;
    }
    ps_status st = ps_client_stream(client, "/psd.v1.Models/GetArtifact", &request.base, chunk, &r);
    if (!st)
        st = ps_predictions_finish(&r.predictions, &client->out);
    if (!st && r.predictions.shown == 0 && begin > 0)
        st = ps_fail(PS_OUT_OF_RANGE,
                     "--rows begins with %" PRIu64 ", but there are %" PRIu64 " rows", begin,
                     r.predictions.line);
    if (st)
        ps_predictions_break(&r.predictions, ps_error_message(), &client->out);
    else
        st = ps_output_flush(&client->out, STDOUT_FILENO);
    if (!st && r.predictions.nulls)
        (void)fprintf(stderr,
                      "psctl: %" PRIu64 " of %" PRIu64 " rows have outputs that are not finite "
                      "(null): NaN, or too large\n",
                      r.predictions.nulls, r.predictions.shown);
    ps_predictions_free(&r.predictions);
    return st;
}
