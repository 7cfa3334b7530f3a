/* hf_pack: the matrices of a model's blocks in a layout of packed.h, on their way into a folder:
 * which of the tensors they are, what stands for them, and their bytes. Private to hf_write.c. Not
 * thread-safe (not asserted: it is its writer's alone). */
#ifndef PS_MODEL_HF_PACK_H
#define PS_MODEL_HF_PACK_H

#include "common/model/model_out.h"
#include "common/model/packed.h"

typedef struct ps_hf_pack ps_hf_pack;

/* about and activations (model_out.h) are borrowed for the call. PS_FAILED_PRECONDITION: a tensor
 * of the blocks is in no form of the layout's, or not in that of the others where all are in one;
 * it is named. */
PS_MUST_CHECK ps_status ps_hf_pack_new(const ps_packed_row *row, const ps_model_about *about,
                                       const char *activations, ps_hf_pack **out);
void ps_hf_pack_free(ps_hf_pack **pack); /* NULL is allowed */

/* The text of quantization_config; and a file that has it once more, NULL: none. */
void ps_hf_pack_config(const ps_hf_pack *pack, ps_buf *out);
const char *ps_hf_pack_beside(const ps_hf_pack *pack);
bool ps_hf_pack_is_packed(const ps_hf_pack *pack, size_t tensor);
/* All tensors of the file, in the order of their data; dtype: of those that are not packed. *out is
 * the pack's. */
size_t ps_hf_pack_tensors(ps_hf_pack *pack, ps_safetensors_dtype dtype,
                          const ps_safetensors_tensor **out);
/* The next bytes of the packed tensors, as they are stored, one after the other; never of two. With
 * the last of a tensor all of it goes to the writer. */
PS_MUST_CHECK ps_status ps_hf_pack_bytes(ps_hf_pack *pack, ps_slice bytes,
                                         ps_safetensors_writer *writer);

#endif
