/* rows: what the table of codecs is made of; a codec is one file, ps_codec_NAME in it, and one line
 * here. */
#ifndef PS_CODEC_ROWS_H
#define PS_CODEC_ROWS_H

#include "common/codec/codec.h"

/* Those without state are for parameters, too. */
#define PS_CODEC_PLAIN_ROWS(row) row(float32) row(bf16)
#define PS_CODEC_ROWS(row)       PS_CODEC_PLAIN_ROWS(row) row(int8) row(int4)

#define PS_CODEC_DECLARE(name) extern const ps_codec ps_codec_##name;
PS_CODEC_ROWS(PS_CODEC_DECLARE)

#endif
