/* bech32: keys as age writes them: PREFIX, a 1, letters for five bits each, and six letters that
 * tell a mistyped one (BIP-173, without its limit on the length). Any thread. */
#ifndef PS_AGE_BECH32_H
#define PS_AGE_BECH32_H

#include "common/base/slice.h"
#include "common/base/status.h"

/* The len bytes of a text, which is in the case of its prefix: "age", "AGE-SECRET-KEY-".
 * PS_INVALID_ARGUMENT: what is wrong with it, without a letter of it, for it may be secret; then
 * out is zeros. */
PS_MUST_CHECK ps_status ps_bech32_read(ps_slice text, const char *prefix, uint8_t *out, size_t len);

#endif
