/* model_tokenizer: the tokenizer of a stored language model: bytes when its config says so,
 * otherwise the tokenizer.json in the header of its file, of which no more than that is fetched;
 * and the tokens that begin and end its texts. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_MODEL_TOKENIZER_H
#define PS_CALL_MODEL_TOKENIZER_H

#include "client/call/client.h"
#include "common/conf/job_spec.h"
#include "common/format/token_ids.h"
#include "common/tokenizer/tokenizer.h"

/* The header of a model's file alone. *out is the caller's: ps_safetensors_free. PS_NOT_FOUND: that
 * version of it is gone. */
PS_MUST_CHECK ps_status ps_model_header(ps_client *client, const char *name, const char *version,
                                        ps_safetensors **out);

/* version: of the model whose config `model` is. path: as ps_model_tokenizer_open takes it, instead
 * of the model's own; NULL: the model's. PS_NOT_FOUND: the model came without one, or that version
 * of it is gone. ids: those of generation_config.json before those of config.json. */
PS_MUST_CHECK ps_status ps_model_tokenizer(ps_client *client, const char *name, const char *version,
                                           const ps_spec_model *model, const char *path,
                                           ps_tokenizer **out, ps_token_ids *ids);
/* The same, of a header that has been fetched. */
PS_MUST_CHECK ps_status ps_model_tokenizer_in(const ps_safetensors *header, const char *name,
                                              const ps_spec_model *model, const char *path,
                                              ps_tokenizer **out, ps_token_ids *ids);

#endif
