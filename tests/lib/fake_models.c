#include "tests/lib/fake_models.h"

#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"
#include "tests/lib/ck_ok.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

void fake_models_init(fake_models *fake, ps_slice file, size_t piece)
{
    memset(fake, 0, sizeof(*fake));
    pthread_mutex_init(&fake->lock, NULL);
    fake->file = file;
    fake->piece = piece;
}

void fake_models_free(fake_models *fake)
{
    ps_buf_free(&fake->artifact);
    pthread_mutex_destroy(&fake->lock);
}

unsigned fake_models_count(fake_models *fake, const unsigned *counter)
{
    pthread_mutex_lock(&fake->lock);
    unsigned n = *counter;
    pthread_mutex_unlock(&fake->lock);
    return n;
}

static void keep_end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)status;
    (void)message;
    (void)user;
    ps_call_unref(call);
}

static const ps_call_events silent_events = {.on_end = keep_end_cb};

/* With the lock. */
static bool went_wrong(fake_models *f, ps_call *call)
{
    if (f->silent) {
        ps_call_ref(call);
        ps_call_set_events(call, &silent_events, NULL);
    } else if (f->refuse) {
        ps_call_finish(call, f->refuse, "no");
    }
    return f->silent || f->refuse;
}

static void export(ps_call *call, const ProtobufCMessage *message, void *service)
{
    fake_models *f = service;
    pthread_mutex_lock(&f->lock);
    f->exports++;
    const Psd__V1__ExportRequest *request = (const void *)message;
    f->job_id = request->job_id;
    if (!went_wrong(f, call)) {
        bool broken = fault_strikes(&f->break_exports);
        bool cut = fault_strikes(&f->cut_exports);
        size_t first = request->begin < f->file.len ? (size_t)request->begin : f->file.len;
        size_t all =
            (request->end && request->end < f->file.len ? (size_t)request->end : f->file.len) -
            first;
        size_t end = first + (broken || cut ? all / 2 : all);
        for (size_t at = first; at < end; at += f->piece) {
            Psd__V1__FileChunk chunk = PSD__V1__FILE_CHUNK__INIT;
            chunk.total_bytes = at > first ? 0 : all;
            if (at == first)
                chunk.version = *f->version ? f->version : request->version;
            size_t n = end - at < f->piece ? end - at : f->piece;
            ps_payload payload = {.bytes = ps_slice_of(f->file.data + at, n)};
            ps_call_send(call, &chunk.base, &payload);
        }
        ps_call_finish(call, broken ? PS_UNAVAILABLE : PS_OK, broken ? "going down" : NULL);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- PutArtifact ---- */

static void put_message_cb(ps_call *call, ps_message *bytes, void *user)
{
    (void)call;
    fake_models *f = user;
    ProtobufCMessage *decoded = NULL;
    ps_slice payload;
    ck_ok(ps_message_unpack(ps_message_bytes(bytes), &psd__v1__put_artifact_request__descriptor,
                            &decoded, &payload));
    const Psd__V1__PutArtifactRequest *request = (const void *)decoded;
    pthread_mutex_lock(&f->lock);
    if (request->header) {
        f->job_id = request->header->job_id;
        snprintf(f->artifact_name, sizeof(f->artifact_name), "%s", request->header->name);
        ps_buf_clear(&f->artifact);
    }
    ps_buf_append(&f->artifact, payload.data, payload.len);
    if (payload.len > f->largest_piece)
        f->largest_piece = payload.len;
    pthread_mutex_unlock(&f->lock);
    protobuf_c_message_free_unpacked(decoded, NULL);
    ps_message_release(&bytes);
}

static void put_all_cb(ps_call *call, void *user)
{
    fake_models *f = user;
    pthread_mutex_lock(&f->lock);
    f->puts++;
    Psd__V1__Artifact answer = PSD__V1__ARTIFACT__INIT;
    if (fault_strikes(&f->lose_puts))
        ps_call_finish(call, PS_UNAVAILABLE, "lost");
    else
        ps_call_reply(call, &answer.base);
    pthread_mutex_unlock(&f->lock);
}

static const ps_call_events put_events = {
    .on_message = put_message_cb, .on_half_close = put_all_cb, .on_end = keep_end_cb};

static void put(ps_call *call, void *service)
{
    fake_models *f = service;
    pthread_mutex_lock(&f->lock);
    if (!went_wrong(f, call)) {
        ps_call_ref(call);
        ps_call_set_events(call, &put_events, f);
    }
    pthread_mutex_unlock(&f->lock);
}

static const ps_rpc_method methods[] = {
    {"Export", &psd__v1__export_request__descriptor, export, NULL},
    {"PutArtifact", &psd__v1__put_artifact_request__descriptor, NULL, put},
    {0},
};

ps_rpc_service fake_models_service(fake_models *fake)
{
    return (ps_rpc_service){.name = "psd.v1.Models", .methods = methods, .state = fake};
}
