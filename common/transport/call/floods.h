/* floods: counts frames that cost a peer little and us something: PING, SETTINGS, PRIORITY,
 * WINDOW_UPDATE, empty DATA, resets (CVE-2023-44487), and resets that its errors make us send
 * (CVE-2019-9511 to 9518, CVE-2025-8671 "MadeYouReset"). nghttp2 1.52 has no such count of its own.
 * One of a connection.
 */
#ifndef PS_TRANSPORT_CALL_FLOODS_H
#define PS_TRANSPORT_CALL_FLOODS_H

#include <stdbool.h>
#include <stdint.h>

/* kind, what one costs in points */
#define PS_FLOOD_TABLE(X) \
    X(WINDOW_UPDATE, 1)   \
    X(PRIORITY, 5)        \
    X(EMPTY_DATA, 10)     \
    X(PING, 10)           \
    X(SETTINGS, 50)       \
    X(FORCED_RESET, 50)   \
    X(RESET, 100)

typedef enum ps_flood_kind {
#define X(name, points) PS_FLOOD_##name,
    PS_FLOOD_TABLE(X)
#undef X
        PS_FLOOD_COUNT
} ps_flood_kind;

typedef struct ps_floods {
    double points; /* left */
    uint64_t at_ns;
} ps_floods;

void ps_floods_init(ps_floods *floods, uint64_t now_ns);
/* False: the peer has spent its points and is to be disconnected. */
bool ps_floods_count(ps_floods *floods, ps_flood_kind kind, uint64_t now_ns);
/* DATA that we sent may well be answered by window updates. */
void ps_floods_earn(ps_floods *floods);

#endif
