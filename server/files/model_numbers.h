/* model_numbers: the numbers of a model's file, and what psd asks of them before it keeps it,
 * whoever sent it. Private to this folder. Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MODEL_NUMBERS_H
#define PS_FILES_MODEL_NUMBERS_H

#include "common/model/form_stream.h"
#include "server/files/model_header.h"

/* file: open behind the header. All numbers go to the sink, tensor by tensor in the file's order;
 * what it fails with is the failure. */
PS_MUST_CHECK ps_status ps_model_numbers_read(const ps_disk *disk, int file,
                                              const ps_model_header *header, ps_form_sink sink);

/* Some numbers of a tensor as they are in the file (ps_model_form_as_stored of `of`, or `of`).
 * PS_INVALID_ARGUMENT with tensor and element: one is not finite, or as a factor so large that
 * products may not be. */
PS_MUST_CHECK ps_status ps_model_numbers_look(const ps_model_form *of, const ps_model_form *stored,
                                              uint64_t first, const float *values, size_t n);

/* Likewise, of all. */
PS_MUST_CHECK ps_status ps_model_numbers_check(const ps_disk *disk, int file,
                                               const ps_model_header *header);

#endif
