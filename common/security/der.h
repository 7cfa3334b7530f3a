/* der: one element after the other of DER (ITU-T X.690): definite lengths in their shortest form,
 * tags of one byte. For what is read by the hundred thousand; certificates are OpenSSL's.
 *
 * As slice.h: what does not fit sets the cursor's `failed`, and every read after it gives nothing.
 * Values; every function is pure. Any thread. */
#ifndef PS_SECURITY_DER_H
#define PS_SECURITY_DER_H

#include "common/base/slice.h"

enum {
    PS_DER_BOOLEAN = 0x01,
    PS_DER_INTEGER = 0x02,
    PS_DER_BIT_STRING = 0x03,
    PS_DER_OCTET_STRING = 0x04,
    PS_DER_OID = 0x06,
    PS_DER_ENUMERATED = 0x0a,
    PS_DER_UTC_TIME = 0x17,
    PS_DER_GENERALIZED_TIME = 0x18,
    PS_DER_SEQUENCE = 0x30,
    PS_DER_CONTEXT_0 = 0xa0, /* [0], constructed */
};

/* Is an element of this tag next? */
bool ps_der_is(const ps_cursor *c, uint8_t tag);
/* The contents of the next element, which has to have this tag. */
ps_slice ps_der_read(ps_cursor *c, uint8_t tag);
/* The same with tag and length before it. */
ps_slice ps_der_whole(ps_cursor *c, uint8_t tag);
/* UTCTime or GeneralizedTime as RFC 5280 section 4.1.2.5 has them (with seconds, Zulu); seconds
 * since 1970. */
int64_t ps_der_time(ps_cursor *c);
/* An INTEGER that is not negative, at most `size` bytes of it: big-endian, zeros before. */
void ps_der_unsigned(ps_cursor *c, uint8_t *out, size_t size);

#endif
