#include "tests/lib/echo.h"

#include "common/base/mem.h"

#include <zlib.h>

typedef struct session {
    unsigned refs; /* the call's, and one of each payload that is not sent yet */
    ps_test_echo *echo;
    ps_call *call;
    ps_timer *timer; /* a delayed answer */
    Psd__Test__V1__Piece late;
    char *late_text;
    /* Download */
    uint64_t next, count;
    uint32_t size;
    uint8_t *bytes;
    /* Upload */
    Psd__Test__V1__Sum sum;
    bool hold;
    ps_message *held[4096];
    size_t n_held;
} session;

uint32_t ps_test_crc32(uint32_t crc, ps_slice bytes)
{
    return (uint32_t)crc32(crc, bytes.data, (uInt)bytes.len);
}

void ps_test_echo_fill(uint64_t number, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(number * 31 + i);
}

static void release_held(session *s)
{
    while (s->n_held > 0)
        ps_message_release(&s->held[--s->n_held]);
}

static void unref_cb(void *user)
{
    session *s = user;
    if (--s->refs > 0)
        return;
    free(s->late_text);
    free(s->bytes);
    free(s);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)message;
    session *s = user;
    s->echo->ended[status]++;
    ps_timer_free(&s->timer);
    release_held(s);
    unref_cb(s);
    ps_call_unref(call);
}

static session *begin(ps_call *call, ps_test_echo *echo, const ps_call_events *events)
{
    session *s = ps_new(session);
    s->refs = 1;
    s->echo = echo;
    s->call = call;
    psd__test__v1__sum__init(&s->sum);
    psd__test__v1__piece__init(&s->late);
    ps_call_ref(call);
    ps_call_set_events(call, events, s);
    return s;
}

static void answer_late(void *user)
{
    session *s = user;
    ps_call_reply(s->call, &s->late.base);
}

static const ps_call_events plain_events = {.on_end = end_cb};

static void unary(ps_call *call, const ProtobufCMessage *request, void *service)
{
    const Psd__Test__V1__Piece *piece = (const void *)request;
    session *s = begin(call, service, &plain_events);
    if (piece->code) {
        ps_call_finish(call, ps_status_from_grpc(piece->code), piece->text);
        return;
    }
    if (piece->delay_ms) {
        s->late.number = piece->number;
        s->late.text = s->late_text = ps_strdup(piece->text);
        ps_timer_create(ps_call_loop(call), answer_late, s, &s->timer);
        ps_timer_start(s->timer, piece->delay_ms, 0);
        return;
    }
    Psd__Test__V1__Piece reply = *piece;
    const char *value = *piece->metadata ? ps_call_metadata(call, piece->metadata) : NULL;
    if (value)
        reply.text = (char *)(uintptr_t)value;
    ps_call_reply(call, &reply.base);
}

static void download_more(ps_call *call, void *user)
{
    session *s = user;
    while (s->next < s->count && ps_call_writable(call)) {
        Psd__Test__V1__Piece head = PSD__TEST__V1__PIECE__INIT;
        head.number = s->next++;
        ps_payload payload = {
            .bytes = ps_slice_of(s->bytes, s->size), .release = unref_cb, .user = s};
        s->refs++;
        ps_call_send(call, &head.base, &payload);
        s->echo->sent += s->size;
    }
    if (s->next == s->count)
        ps_call_finish(call, PS_OK, NULL);
}

static void download_late(void *user)
{
    session *s = user;
    download_more(s->call, s);
}

static const ps_call_events download_events = {.on_writable = download_more, .on_end = end_cb};

static void download(ps_call *call, const ProtobufCMessage *request, void *service)
{
    const Psd__Test__V1__Ask *ask = (const void *)request;
    session *s = begin(call, service, &download_events);
    if (ask->size > PS_TEST_ECHO_SIZE_MAX) {
        ps_call_finish(call, PS_INVALID_ARGUMENT, "pieces are 4 MiB at most");
        return;
    }
    s->count = ask->count;
    s->size = ask->size;
    s->bytes = ps_alloc(ask->size + 1);
    ps_test_echo_fill(0, s->bytes, ask->size);
    if (!ask->delay_ms) {
        download_more(call, s);
        return;
    }
    ps_timer_create(ps_call_loop(call), download_late, s, &s->timer);
    ps_timer_start(s->timer, ask->delay_ms, 0);
}

static void keep_or_release(session *s, ps_message *message, bool hold)
{
    s->hold |= hold;
    if (s->hold && s->n_held < 4096)
        s->held[s->n_held++] = message;
    else
        ps_message_release(&message);
}

static void uploaded_cb(ps_call *call, ps_message *message, void *user)
{
    session *s = user;
    ProtobufCMessage *decoded = NULL;
    ps_slice payload = {0};
    ps_status st = ps_message_unpack(ps_message_bytes(message), &psd__test__v1__piece__descriptor,
                                     &decoded, &payload);
    if (st) {
        ps_call_fail(call, st);
        ps_message_release(&message);
        return;
    }
    s->echo->messages++;
    s->sum.messages++;
    s->sum.bytes += payload.len;
    if (!s->echo->no_crc)
        s->sum.crc = ps_test_crc32(s->sum.crc, payload);
    bool hold = ((const Psd__Test__V1__Piece *)(const void *)decoded)->hold;
    protobuf_c_message_free_unpacked(decoded, NULL);
    keep_or_release(s, message, hold);
}

static void uploaded_all_cb(ps_call *call, void *user)
{
    session *s = user;
    release_held(s);
    ps_call_reply(call, &s->sum.base);
}

static const ps_call_events upload_events = {
    .on_message = uploaded_cb, .on_half_close = uploaded_all_cb, .on_end = end_cb};

static void upload(ps_call *call, void *service)
{
    const ps_test_echo *echo = service;
    begin(call, service, &upload_events);
    if (echo->keep)
        ps_call_keep(call, echo->keep);
}

static void said_cb(ps_call *call, ps_message *message, void *user)
{
    session *s = user;
    ProtobufCMessage *decoded = NULL;
    ps_status st = ps_message_unpack(ps_message_bytes(message), &psd__test__v1__piece__descriptor,
                                     &decoded, NULL);
    s->echo->messages++;
    if (st) {
        ps_call_fail(call, st);
        ps_message_release(&message);
        return;
    }
    const Psd__Test__V1__Piece *piece = (const void *)decoded;
    if (piece->code)
        ps_call_finish(call, ps_status_from_grpc(piece->code), piece->text);
    else
        ps_call_send(call, decoded, NULL);
    bool hold = piece->hold;
    protobuf_c_message_free_unpacked(decoded, NULL);
    keep_or_release(s, message, hold);
}

static void said_all_cb(ps_call *call, void *user)
{
    (void)user;
    ps_call_finish(call, PS_OK, NULL);
}

static const ps_call_events talk_events = {
    .on_message = said_cb, .on_half_close = said_all_cb, .on_end = end_cb};

static void talk(ps_call *call, void *service)
{
    begin(call, service, &talk_events);
}

static const ps_rpc_method methods[] = {
    {"Unary", &psd__test__v1__piece__descriptor, unary, NULL},
    {"Download", &psd__test__v1__ask__descriptor, download, NULL},
    {"Upload", &psd__test__v1__piece__descriptor, NULL, upload},
    {"Talk", &psd__test__v1__piece__descriptor, NULL, talk},
    {0},
};

ps_rpc_service ps_test_echo_service(ps_test_echo *echo)
{
    return (ps_rpc_service){.name = "psd.test.v1.Echo", .methods = methods, .state = echo};
}
