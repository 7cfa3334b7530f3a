/* job_cache: what a task's thread keeps of the jobs it last worked for, so that the next task of
 * the same job finds the job file parsed, the data open, the model built and psd's tensors known.
 * Everything is made when first asked for. One thread. */
#ifndef PS_JOB_JOB_CACHE_H
#define PS_JOB_JOB_CACHE_H

#include "common/conf/job_spec.h"
#include "worker/data/reader.h"
#include "worker/exchange/exchange.h"
#include "worker/job/job_data.h"
#include "worker/job/stored_stream.h"
#include "worker/models/model.h"
#include "worker/task/task.h"

typedef struct ps_job_cache ps_job_cache;
typedef struct ps_job_entry ps_job_entry;

/* Jobs kept at the same time; the one not used for longest leaves. */
enum { PS_JOB_CACHE_ENTRIES = 2 };

void ps_job_cache_create(ps_job_cache **out);
void ps_job_cache_free(ps_job_cache **cache); /* the loop must still run */

/* The entry of the run's job; valid for this task. PS_INVALID_ARGUMENT: the job file. */
PS_MUST_CHECK ps_status ps_job_cache_get(ps_task_run *run, ps_job_entry **out);
/* What it has of the task's job; NULL: nothing (any more). */
ps_job_entry *ps_job_cache_find(ps_job_cache *cache, const Psd__V1__Task *task);
/* Forgets all jobs: somebody needs their memory more. What a task has of it is gone, too. */
void ps_job_cache_clear(ps_job_cache *cache);
/* Forgets the jobs under which the device has failed: a stream that has failed stays so. True:
 * there were some. */
bool ps_job_cache_mend(ps_job_cache *cache);

const ps_job_spec *ps_job_entry_spec(const ps_job_entry *entry);
/* The job's model, or the stored one's that the task came with. */
const ps_spec_model *ps_job_entry_model_spec(const ps_job_entry *entry);
/* A plan has found what the job file leaves to the data: its model section is this from now on, for
 * the tasks that come with it, too. Before data or model are asked for. */
PS_MUST_CHECK ps_status ps_job_entry_settle(ps_job_entry *entry, const char *model);
/* Is the stored model what its architecture says? Asked once, of the file's header, so that it is
 * known before data are read. PS_FAILED_PRECONDITION names the tensor. No stored one: PS_OK. */
PS_MUST_CHECK ps_status ps_job_entry_check(ps_job_entry *entry, ps_task_run *run);
bool ps_job_entry_stored(const ps_job_entry *entry); /* is it of a stored model? */

typedef enum ps_job_data { PS_JOB_TRAIN_DATA, PS_JOB_TEST_DATA, PS_JOB_DATA_COUNT } ps_job_data;
/* What opens the job's data, for who looks at them otherwise (settle.c): borrows source. End it in
 * any case. Fails as ps_frozen_source. */
PS_MUST_CHECK ps_status ps_job_entry_request(ps_job_entry *entry, ps_task_run *run,
                                             ps_job_data which, ps_dataset_source *source,
                                             ps_job_data_request *out);
void ps_job_entry_request_end(ps_job_entry *entry);
/* Checks the paths against data_roots, opens, and compares with the model's widths.
 * PS_NOT_FOUND, PS_PERMISSION_DENIED (data_roots), PS_NO_ACCESS, PS_INVALID_ARGUMENT, PS_CORRUPT.
 */
PS_MUST_CHECK ps_status ps_job_entry_data(ps_job_entry *entry, ps_task_run *run, ps_job_data which,
                                          ps_dataset **out);
/* Its parameters are not filled, unless it is a stored model's: then they are the stored ones. */
PS_MUST_CHECK ps_status ps_job_entry_model(ps_job_entry *entry, ps_task_run *run, ps_model **out);
/* Of a job whose model is a lens: the language model that it is read out by, on the device as long
 * as the entry, and SHA-256 of that one's file; of others NULL and "". Fails as ps_frozen_base. */
PS_MUST_CHECK ps_status ps_job_entry_base(ps_job_entry *entry, ps_task_run *run, ps_model **out,
                                          const char **sha256);
/* Of a job on a stored model that changes its parameters step by step:
 * the model as those before left it, and *mark, how far they were, which is 0 of one that is
 * the stored one still, and at most `most`: else it is loaded anew. ps_job_entry_model gives the
 * stored one in any case. */
PS_MUST_CHECK ps_status ps_job_entry_model_to_change(ps_job_entry *entry, ps_task_run *run,
                                                     uint64_t most, uint64_t **mark,
                                                     ps_model **out);
/* The stored model that the task works on. */
ps_stored_model ps_job_entry_stored_model(const ps_job_entry *entry);
/* Of the last push for the job; counted on (exchange/push.h). */
uint64_t *ps_job_entry_sequence(ps_job_entry *entry);
/* Of a job that trains; refreshed for this task. */
PS_MUST_CHECK ps_status ps_job_entry_exchange(ps_job_entry *entry, ps_task_run *run,
                                              ps_exchange **out);
/* Can the model that teaches the job do so? Asked once, of what is known of both and of the header
 * of its file. A job without one: PS_OK. */
PS_MUST_CHECK ps_status ps_job_entry_check_teacher(ps_job_entry *entry, ps_task_run *run);
/* What ps_model_batch.teaching is to be; *out NULL: the job has no teacher. */
PS_MUST_CHECK ps_status ps_job_entry_teaching(ps_job_entry *entry, ps_task_run *run,
                                              const ps_model_teaching **out);
/* What a task of the job has found that the next ones need, too, if it takes long to find: one
 * piece of memory, NULL at first, that is the entry's and is freed with it (ps_free). */
void **ps_job_entry_note(ps_job_entry *entry);
/* The same of what is no single piece: `free`, set with it, ends it together with the entry, and
 * makes `what` NULL. */
typedef struct ps_job_kept {
    void *what; /* NULL: nothing yet */
    void (*free)(void **what);
} ps_job_kept;
ps_job_kept *ps_job_entry_kept(ps_job_entry *entry);
/* Another stored model of these shapes, as the entry's own is made, for a job that compares both:
 * made when first asked for, and kept as long as the entry's, or until it is dropped; a job has
 * one. Fails as ps_job_entry_model; PS_NO_MEMORY: there is no room for it beside the first. */
PS_MUST_CHECK ps_status ps_job_entry_beside(ps_job_entry *entry, ps_task_run *run,
                                            const ps_stored_model *which, const ps_spec_model *spec,
                                            ps_model **out);
void ps_job_entry_beside_drop(ps_job_entry *entry);
/* The entry's model has the numbers of another stored one, of its shapes, until it is asked for
 * again (ps_job_entry_model): so several take the memory of one. Its own version: its own. Of jobs
 * of kind explain. sha256: of the file that they were loaded from. Fails as ps_stored_model_load:
 * then they are nobody's. */
PS_MUST_CHECK ps_status ps_job_entry_become(ps_job_entry *entry, ps_task_run *run,
                                            const ps_stored_model *which,
                                            char sha256[PS_DIGEST_TEXT]);
/* SHA-256 of the files that the two were loaded from, of jobs of kind explain; "": not loaded. */
const char *ps_job_entry_sha256(const ps_job_entry *entry, bool beside);
size_t ps_job_entry_batch(const ps_job_entry *entry); /* rows of a batch */

#endif
