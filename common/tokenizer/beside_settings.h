/* beside_settings: what tokenizer_config.json says besides tokens, by the file that it stands
 * beside: which class of `transformers` it is for, and how texts are cut. Bytes are hostile.
 * Private to common/tokenizer; any thread. */
#ifndef PS_TOKENIZER_BESIDE_SETTINGS_H
#define PS_TOKENIZER_BESIDE_SETTINGS_H

#include "common/tokenizer/beside.h"

/* Into the members of `to` that are of this kind; what is not said stays. PS_INVALID_ARGUMENT: a
 * class, or a setting, that psd makes no tokenizer of. */
PS_MUST_CHECK ps_status ps_beside_settings(ps_beside_kind kind, const ps_part *config,
                                           ps_beside *to);
/* The text of a role that nothing says; NULL: there is no such token then. */
const char *ps_beside_default(ps_beside_kind kind, ps_beside_role role);

#endif
