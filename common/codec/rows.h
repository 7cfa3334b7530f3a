/* rows: what the table of codecs is made of; a codec is one file and one line here and in codec.c.
 */
#ifndef PS_CODEC_ROWS_H
#define PS_CODEC_ROWS_H

#include "common/codec/codec.h"

extern const ps_codec ps_codec_float32;

#endif
