/* Happy path, encoding: prefix, head by protobuf-c, tag and length of field 15; the payload itself
 * is not touched. Decoding: the top-level fields are walked once with a cursor; what lies before a
 * final payload is given to protobuf-c in place. When the payload is not last (allowed by protobuf,
 * never done by us) the rest is copied together without it.
 *
 * Failure: bytes that are no such message, and messages that would take more memory than a multiple
 * of their size (empty submessages and unknown fields amplify; protobuf-c 1.4 has no limit). */
#include "common/transport/call/message_codec.h"

#include "common/base/buf.h"
#include "common/base/mem.h"

/* Memory a decoded message may take: some for small ones, and so many times its bytes. */
#define BUDGET_BASE     (64u << 10)
#define BUDGET_PER_BYTE 48u

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
#define PAYLOAD_TAG ((PS_PAYLOAD_FIELD << 3) | WIRE_BYTES)

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static uint8_t *varint_write(uint8_t *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

size_t ps_message_head_size(const ProtobufCMessage *head, const ps_payload *payload)
{
    size_t size = 5 + protobuf_c_message_get_packed_size(head);
    if (payload)
        size += varint_size(PAYLOAD_TAG) + varint_size(payload->bytes.len);
    return size;
}

void ps_message_head_write(const ProtobufCMessage *head, const ps_payload *payload, uint8_t *out,
                           size_t size)
{
    size_t body = size - 5 + (payload ? payload->bytes.len : 0);
    out[0] = 0; /* not compressed */
    ps_put_u32be(out + 1, (uint32_t)body);
    uint8_t *at = out + 5 + protobuf_c_message_pack(head, out + 5);
    if (payload) {
        at = varint_write(at, PAYLOAD_TAG);
        (void)varint_write(at, payload->bytes.len);
    }
}

/* One field: its tag and its bytes as they stand. False at the end or when malformed. */
static bool next_field(ps_cursor *c, uint64_t *tag, ps_slice *whole, ps_slice *value)
{
    const uint8_t *begin = c->at;
    *tag = ps_read_varint(c);
    *value = (ps_slice){0};
    switch (*tag & 7) {
    case WIRE_VARINT:
        (void)ps_read_varint(c);
        break;
    case WIRE_64:
        (void)ps_read_bytes(c, 8);
        break;
    case WIRE_BYTES: {
        uint64_t len = ps_read_varint(c);
        *value = ps_read_bytes(c, len > SIZE_MAX ? SIZE_MAX : (size_t)len);
        break;
    }
    case WIRE_32:
        (void)ps_read_bytes(c, 4);
        break;
    default: /* groups are not of proto3 */
        c->failed = true;
    }
    *whole = ps_slice_of(begin, (size_t)(c->at - begin));
    return !c->failed;
}

typedef struct split {
    ps_slice prefix;  /* fields before the first payload, or all */
    ps_slice payload; /* the last one, as protobuf has it */
    bool rest;        /* there are fields after the first payload */
} split;

static ps_status split_payload(ps_slice bytes, split *out)
{
    ps_cursor c = ps_cursor_of(bytes);
    split s = {.prefix = bytes};
    bool found = false;
    while (ps_cursor_left(&c) > 0) {
        uint64_t tag;
        ps_slice whole, value;
        if (!next_field(&c, &tag, &whole, &value))
            return ps_fail(PS_INVALID_ARGUMENT, "malformed message: bad field at byte %zu",
                           (size_t)(c.at - bytes.data));
        if (tag == PAYLOAD_TAG) {
            if (!found)
                s.prefix = ps_slice_of(bytes.data, (size_t)(whole.data - bytes.data));
            found = true;
            s.payload = value;
        } else if (found) {
            s.rest = true;
        }
    }
    *out = s;
    return PS_OK;
}

/* All fields but the payload, in one piece. */
static void copy_without_payload(ps_slice bytes, ps_buf *out)
{
    ps_cursor c = ps_cursor_of(bytes);
    uint64_t tag;
    ps_slice whole, value;
    while (ps_cursor_left(&c) > 0 && next_field(&c, &tag, &whole, &value))
        if (tag != PAYLOAD_TAG)
            ps_buf_append(out, whole.data, whole.len);
}

static void *budget_alloc(void *data, size_t size)
{
    size_t *left = data;
    if (size > *left)
        return NULL;
    void *pointer = malloc(size ? size : 1);
    if (pointer)
        *left -= size;
    return pointer;
}

static void budget_free(void *data, void *pointer)
{
    (void)data; /* what was freed on the way to a failure need not be usable again */
    free(pointer);
}

static ps_status unpack(ps_slice bytes, const ProtobufCMessageDescriptor *descriptor,
                        ProtobufCMessage **out)
{
    size_t left = BUDGET_BASE + BUDGET_PER_BYTE * bytes.len;
    ProtobufCAllocator allocator = {
        .alloc = budget_alloc, .free = budget_free, .allocator_data = &left};
    static const uint8_t nothing;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, bytes.len,
                                                          bytes.data ? bytes.data : &nothing);
    if (!message)
        return ps_fail(PS_INVALID_ARGUMENT, "%zu bytes are not a valid %s", bytes.len,
                       descriptor->name);
    *out = message;
    return PS_OK;
}

ps_status ps_message_unpack(ps_slice bytes, const ProtobufCMessageDescriptor *descriptor,
                            ProtobufCMessage **out, ps_slice *payload)
{
    if (!payload)
        return unpack(bytes, descriptor, out);
    split s = {0};
    ps_status st = split_payload(bytes, &s);
    if (st)
        return ps_wrap(st, "%s", descriptor->name);
    if (!s.rest) {
        st = unpack(s.prefix, descriptor, out);
    } else {
        ps_buf rest = PS_BUF_EMPTY;
        copy_without_payload(bytes, &rest);
        st = unpack(ps_buf_slice(&rest), descriptor, out);
        ps_buf_free(&rest);
    }
    if (!st)
        *payload = s.payload;
    return st;
}
