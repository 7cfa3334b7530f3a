/* x25519: the Diffie-Hellman function of RFC 7748, section 5, over Curve25519. Any thread. */
#ifndef PS_SECURITY_X25519_H
#define PS_SECURITY_X25519_H

#include "common/base/status.h"

#include <stdint.h>

enum { PS_X25519_BYTES = 32 };

/* out = X25519(secret, point), which is secret. PS_CORRUPT: it would be all zeros, as it is for
 * points of low order, which whoever chose them knows without the secret (RFC 7748, section 6.1);
 * then out is zeros. */
PS_MUST_CHECK ps_status ps_x25519(const uint8_t secret[PS_X25519_BYTES],
                                  const uint8_t point[PS_X25519_BYTES],
                                  uint8_t out[PS_X25519_BYTES]);
/* out = X25519(secret, 9), the point that goes to the other side. */
void ps_x25519_point(const uint8_t secret[PS_X25519_BYTES], uint8_t out[PS_X25519_BYTES]);

#endif
