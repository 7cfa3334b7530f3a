/* memory: about how much a worker needs to explain a model: its numbers as float32, and what its
 * layers make of a batch, which is kept for the way back. Pure; any thread. */
#ifndef PS_EXPLAIN_MEMORY_H
#define PS_EXPLAIN_MEMORY_H

#include "common/conf/job_spec.h"

/* Rows that the model takes at once: explain.batch, or what is usual of its family. */
int64_t ps_explain_batch(const ps_spec_explain *explain, const ps_spec_model *model);
/* Tokens of the longest row; 1 of others. */
int64_t ps_explain_length(const ps_job_spec *spec, const ps_spec_model *model);
/* Bytes that the layers of a model make of so many rows, or tokens: about so many, and not fewer.
 */
uint64_t ps_model_activation_bytes(const ps_spec_model *model, uint64_t rows);
/* Those of the largest batch, and of weights of attention that are exchanged. */
uint64_t ps_explain_activations(const ps_job_spec *spec, const ps_spec_model *model);

/* Of a job that trains a lens of `base`, beside the numbers of that: of the lens and its gradients,
 * of the head at work, and of the activations in memory, as many as data.activations.rows allows;
 * none of these where it is 0, for then only the files know. */
uint64_t ps_lens_memory(const ps_job_spec *spec, const ps_spec_model *base);

#endif
