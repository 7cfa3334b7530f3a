/* hf_texts: what config.json says of a model of texts beside its numbers: whether it tells classes
 * apart, and what they are called. Any thread. */
#ifndef PS_MODEL_HF_TEXTS_H
#define PS_MODEL_HF_TEXTS_H

#include "common/conf/job_spec.h"
#include "common/json/json.h"

/* json: of config.json, hostile. Where its class is one of sequence classification, num_classes and
 * classes become what id2label says, or as many as transformers takes. PS_INVALID_ARGUMENT: ids
 * that are not counted from 0, names that are none or twice there, classes of which a text may have
 * several (problem_type); PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_hf_texts_read(ps_slice json, ps_spec_model *model);

/* Behind architectures: id2label and label2id, where the model has classes with names. */
void ps_hf_texts_write(const ps_spec_model *model, ps_json_writer *w);

#endif
