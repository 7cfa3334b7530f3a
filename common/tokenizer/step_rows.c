/* The tables of types. */
#include "common/tokenizer/step_rows.h"

#include <stddef.h>

const ps_step_row *const ps_normalizer_rows[] = {
    &ps_norm_nfc,         &ps_norm_nfd,
    &ps_norm_nfkc,        &ps_norm_nfkd,
    &ps_norm_replace,     &ps_norm_prepend,
    &ps_norm_strip,       &ps_norm_lowercase,
    &ps_norm_accents,     &ps_norm_bert,
    &ps_norm_precompiled, &ps_norm_nmt,
    &ps_norm_byte_level,  NULL,
};

const ps_step_row *const ps_pre_tokenizer_rows[] = {
    &ps_pre_byte_level,  &ps_pre_split,        &ps_pre_digits,           &ps_pre_metaspace,
    &ps_pre_punctuation, &ps_pre_whitespace,   &ps_pre_whitespace_split, &ps_pre_bert,
    &ps_pre_delimiter,   &ps_pre_fixed_length, &ps_pre_unicode_scripts,  NULL,
};

const ps_step_row *const ps_decoder_rows[] = {
    &ps_dec_byte_level, &ps_dec_metaspace, &ps_dec_byte_fallback, &ps_dec_fuse, &ps_dec_strip,
    &ps_dec_replace,    &ps_dec_wordpiece, &ps_dec_bpe,           &ps_dec_ctc,  NULL,
};
