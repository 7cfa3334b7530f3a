#include "common/transport/call/message_codec.h"

#include "psd/v1/parameters.pb-c.h"
#include "tests/lib/check_main.h"

#include <stdlib.h>

#define TYPE psd__v1__push_request__descriptor

static ps_status unpack(const char *bytes, size_t len, Psd__V1__PushRequest **out,
                        ps_slice *payload)
{
    ProtobufCMessage *message = NULL;
    ps_status st = ps_message_unpack(ps_slice_of(bytes, len), &TYPE, &message, payload);
    if (!st)
        *out = (Psd__V1__PushRequest *)(void *)message;
    return st;
}

START_TEST(what_is_packed_with_a_payload_is_what_protobuf_would_pack)
{
    Psd__V1__PushRequest head = PSD__V1__PUSH_REQUEST__INIT;
    Psd__V1__Chunk chunk = PSD__V1__CHUNK__INIT;
    chunk.tensor_id = 7;
    chunk.offset = 1ull << 40;
    head.chunk = &chunk;
    uint8_t bytes[300], mine[1000], whole[1000];
    memset(bytes, 0xab, sizeof bytes);
    ps_payload payload = {.bytes = ps_slice_of(bytes, sizeof bytes)};
    size_t n = ps_message_head_size(&head.base, &payload);
    ps_message_head_write(&head.base, &payload, mine, n);
    memcpy(mine + n, bytes, sizeof bytes);
    head.payload = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    size_t expected = protobuf_c_message_pack(&head.base, whole);
    ck_assert_uint_eq(n + sizeof bytes, expected + 5);
    ck_assert_int_eq(memcmp(mine + 5, whole, expected), 0);
    ck_assert_uint_eq(mine[0], 0);
    ck_assert_uint_eq((unsigned)mine[3] << 8 | mine[4], expected);
    Psd__V1__PushRequest *again = NULL;
    ps_slice got = {0};
    ck_ok(unpack((const char *)mine + 5, expected, &again, &got));
    ck_assert_ptr_eq(got.data, mine + n); /* in place */
    ck_assert_uint_eq(got.len, sizeof bytes);
    ck_assert_uint_eq(again->chunk->offset, 1ull << 40);
    ck_assert_uint_eq(again->payload.len, 0);
    psd__v1__push_request__free_unpacked(again, NULL);
}
END_TEST

START_TEST(a_payload_may_stand_anywhere_and_the_last_one_counts)
{
    Psd__V1__PushRequest *m = NULL;
    ps_slice payload = {0};
    /* 15: "ab", then 2: {1: 9}, then 15: "cde" */
    ck_ok(unpack("\x7a\x02"
                 "ab"
                 "\x12\x02\x08\x09"
                 "\x7a\x03"
                 "cde",
                 13, &m, &payload));
    ck_assert_uint_eq(payload.len, 3);
    ck_assert_int_eq(memcmp(payload.data, "cde", 3), 0);
    ck_assert_uint_eq(m->chunk->tensor_id, 9);
    psd__v1__push_request__free_unpacked(m, NULL);
    ck_ok(unpack("", 0, &m, &payload));
    ck_assert_ptr_null(payload.data);
    psd__v1__push_request__free_unpacked(m, NULL);
}
END_TEST

START_TEST(malformed_bytes_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\x7a\x05"
         "ab",
         4},                                                      /* shorter than it says */
        {"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},         /* 2^63 bytes */
        {"\x7a", 1},                                              /* no length */
        {"\x12\x02\x08", 3},                                      /* inner message cut */
        {"\x0b\x0c", 2},                                          /* groups */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* endless varint */
        {"\x12\x02\x0a\x7f", 4},                                  /* inner field too long */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Psd__V1__PushRequest *m = NULL;
        ps_slice payload = {0};
        ck_assert_int_eq(unpack(rows[i].bytes, rows[i].len, &m, &payload), PS_INVALID_ARGUMENT);
        ck_assert_ptr_null(m);
        ck_assert_ptr_null(payload.data);
    }
}
END_TEST

START_TEST(a_message_may_not_amplify_in_memory)
{
    /* a million empty Tensors: 2 bytes each, about 100 in memory */
    enum { N = 1000000 };
    uint8_t *bytes = malloc(2 * N);
    for (size_t i = 0; i < N; i++) {
        bytes[2 * i] = 0x0a;
        bytes[2 * i + 1] = 0;
    }
    ProtobufCMessage *m = NULL;
    ps_slice all = ps_slice_of(bytes, 2 * N);
    ck_assert_int_eq(ps_message_unpack(all, &psd__v1__describe_response__descriptor, &m, NULL),
                     PS_INVALID_ARGUMENT);
    all.len = 2000; /* a thousand of them is an honest message */
    ck_ok(ps_message_unpack(all, &psd__v1__describe_response__descriptor, &m, NULL));
    protobuf_c_message_free_unpacked(m, NULL);
    free(bytes);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_packed_with_a_payload_is_what_protobuf_would_pack},
    {&a_payload_may_stand_anywhere_and_the_last_one_counts},
    {&malformed_bytes_are_refused},
    {&a_message_may_not_amplify_in_memory},
    {0},
};

int main(void)
{
    return ps_check_main("transport/message_codec", cases);
}
