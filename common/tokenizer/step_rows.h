/* step_rows: the rows of the tables, each in a file with its like; private to common/tokenizer. */
#ifndef PS_TOKENIZER_STEP_ROWS_H
#define PS_TOKENIZER_STEP_ROWS_H

#include "common/tokenizer/step.h"

/* Normalizers */
extern const ps_step_row ps_norm_nfc, ps_norm_nfd, ps_norm_nfkc, ps_norm_nfkd; /* norm_forms.c */
extern const ps_step_row ps_norm_replace, ps_norm_prepend, ps_norm_strip;      /* norm_text.c */
extern const ps_step_row ps_norm_lowercase, ps_norm_accents, ps_norm_bert;     /* norm_bert.c */
extern const ps_step_row ps_norm_byte_level;  /* norm_byte_level.c */
extern const ps_step_row ps_norm_nmt;         /* norm_nmt.c */
extern const ps_step_row ps_norm_precompiled; /* norm_precompiled.c */

/* Pre-tokenizers */
extern const ps_step_row ps_pre_byte_level;              /* pre_byte_level.c */
extern const ps_step_row ps_pre_fixed_length;            /* pre_fixed_length.c */
extern const ps_step_row ps_pre_split, ps_pre_delimiter; /* pre_split.c */
extern const ps_step_row ps_pre_metaspace;               /* pre_metaspace.c */
extern const ps_step_row ps_pre_unicode_scripts;         /* pre_unicode_scripts.c */
/* pre_kinds.c */
extern const ps_step_row ps_pre_digits, ps_pre_punctuation, ps_pre_whitespace,
    ps_pre_whitespace_split, ps_pre_bert;

/* Decoders */
extern const ps_step_row ps_dec_ctc; /* decoder_ctc.c */
/* decoders.c */
extern const ps_step_row ps_dec_byte_level, ps_dec_metaspace, ps_dec_byte_fallback, ps_dec_fuse,
    ps_dec_strip, ps_dec_replace, ps_dec_wordpiece, ps_dec_bpe;

#endif
