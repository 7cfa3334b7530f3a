/* hf_kept: keys of a config.json that psd reads over and other programs use: where a model comes
 * from, how it was begun, how older versions sample from it, what its classes are called. They come
 * in with the model, stay with it as metadata "psd.hf_config", an object of JSON, and go out with
 * it into config.json. Private to hf_*.c, gguf_kept.c, model_in.c and
 * tests; any thread. */
#ifndef PS_MODEL_HF_KEPT_H
#define PS_MODEL_HF_KEPT_H

#include "common/arch/arch.h"
#include "common/base/buf.h"
#include "common/json/json.h"

#include <stdbool.h>

#define PS_MODEL_META_HF_CONFIG "psd.hf_config"

/* Appends the object; nothing when there is no such key, or only those that would be written anyway
 * (hf_config.h). json is a config.json of that architecture that ps_hf_config_parse takes. */
void ps_hf_kept_read(ps_slice json, const ps_arch *arch, ps_buf *out);
/* kept: such an object, hostile; NULL: none. */
bool ps_hf_kept_has(const char *kept, const char *key);
/* Its members, in an object that is being written, but for what an architecture's row writes, and
 * what says which classes there are, where these are in it already. */
void ps_hf_kept_write(const char *kept, const ps_arch *arch, bool classes, ps_json_writer *w);

#endif
