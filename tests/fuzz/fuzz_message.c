/* Every message of psd.v1, of health and of reflection out of any bytes; the first byte chooses
 * which. What was accepted packs and unpacks to the same bytes again, and a payload lies within
 * what came in. */
#include "common/transport/call/message.h"
#include "fuzz_message_types.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT (sizeof types / sizeof *types)

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* protobuf-c packs the same message to the same bytes. */
static void round_trip(const ProtobufCMessage *message, const ProtobufCMessageDescriptor *type)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *once = malloc(len + 1), *twice = malloc(len + 1);
    require(once && twice && protobuf_c_message_pack(message, once) == len);
    ProtobufCMessage *again = protobuf_c_message_unpack(type, NULL, len, once);
    if (again) { /* protobuf-c takes an overlong tag of field 0, and not the short one it writes */
        require(protobuf_c_message_get_packed_size(again) == len);
        require(protobuf_c_message_pack(again, twice) == len && memcmp(once, twice, len) == 0);
        protobuf_c_message_free_unpacked(again, NULL);
    }
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % COUNT];
    ps_slice bytes = ps_slice_of(data + 1, size - 1), payload = {0};
    ProtobufCMessage *message = NULL;
    if (ps_message_unpack(bytes, type, &message, NULL) == PS_OK) {
        round_trip(message, type);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    if (ps_message_unpack(bytes, type, &message, &payload) == PS_OK) {
        require(!payload.data || (payload.data >= bytes.data &&
                                  payload.data + payload.len <= bytes.data + bytes.len));
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return 0;
}
