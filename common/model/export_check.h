/* export_check: what was written of a model is read back as anybody would, before it has its name:
 * every tensor says what psd's file says, rounded as the format rounds, to the bit; and a forward
 * pass of both (probe.h), each by its own file's sizes, gives the same bits (or no number on both
 * sides). Both sides are read a tensor at a time, so that memory is that of a pass and of one
 * matrix, not of the model. Not thread-safe (not asserted: it is its caller's alone). */
#ifndef PS_MODEL_EXPORT_CHECK_H
#define PS_MODEL_EXPORT_CHECK_H

#include "common/base/new_file.h"
#include "common/model/model_out.h"

/* psd's file, as it can be had again. */
typedef struct ps_export_original {
    const char *config; /* the model section, as the catalog has it */
    /* Bytes [begin, end) of it, in order, to take; take's failure is its own. */
    PS_MUST_CHECK ps_status (*range)(void *user, uint64_t begin, uint64_t end,
                                     ps_status (*take)(void *to, ps_slice bytes), void *to);
    void *user;
} ps_export_original;

/* path: where what was written can be read, through the disk of `export`. export: that wrote it,
 * and is sealed. PS_DATA_LOSS: it does not say what the model says; the tensor, or that the pass
 * differs. Else as reading fails. */
PS_MUST_CHECK ps_status ps_export_check(const ps_export_original *original, const char *path,
                                        const ps_model_export *export);

/* What the pass says of psd's file: ps_probe_run. */
PS_MUST_CHECK ps_status ps_export_answers(const ps_export_original *original, double **out,
                                          size_t *n);

/* All has come: it is sealed and, unless it went into a stream, checked, and ps_model_export_finish
 * may follow. After a failure nothing of it is to be kept (ps_model_export_free). */
PS_MUST_CHECK ps_status ps_export_seal(ps_model_export *export, const ps_export_original *original);
/* The same of psd's own file, which any bytes may be: they are those that came; and it gets its
 * name. checksum: crc32c of
 * all that was written to *file, as it came; disk: that it was opened with. Frees *file in any
 * case. */
PS_MUST_CHECK ps_status ps_export_finish_file(ps_new_file **file, const ps_disk *disk,
                                              uint32_t checksum);

#endif
