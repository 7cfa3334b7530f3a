/* echo: a small server of psd.test.v1.Echo, for tests and benchmarks of the transport.
 *
 *     ps_test_echo echo = {0};
 *     ps_rpc_service service = ps_test_echo_service(&echo);
 */
#ifndef PS_TEST_ECHO_H
#define PS_TEST_ECHO_H

#include "common/transport/server/rpc_server.h"

#include <echo.pb-c.h>
#include <stdatomic.h>

#define PS_TEST_ECHO_SIZE_MAX (4u << 20) /* of a Download's piece */

/* What the server saw; read by tests on another thread. */
typedef struct ps_test_echo {
    bool no_crc;                        /* of uploads: for measuring */
    size_t keep;                        /* bytes that an upload may keep to its end; 0: not said */
    atomic_uint ended[PS_STATUS_COUNT]; /* on_end by its status */
    atomic_uint messages;               /* received by Upload and Talk */
    atomic_size_t sent;                 /* bytes that Download has queued */
} ps_test_echo;

ps_rpc_service ps_test_echo_service(ps_test_echo *echo);

/* As zlib's crc32 (polynomial 0xEDB88320), continuing from crc. */
uint32_t ps_test_crc32(uint32_t crc, ps_slice bytes);
/* The bytes of piece `number` of a Download: piece[i] = (number * 31 + i) as a byte. */
void ps_test_echo_fill(uint64_t number, uint8_t *out, size_t size);

#endif
