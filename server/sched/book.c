/* Which rows of a training task are in the parameters: asked of those who book them
 * (ps_sched_book), or, where nobody does, taken from what the worker says. */
#include "server/sched/book.h"

static const ps_sched_book *book_of(const ps_job *job)
{
    return job->sched->out.store->book;
}

void ps_book_begin(const ps_lease *lease)
{
    ps_core_require_locked(lease->job->sched);
    PS_REQUIRE(lease->kind->trains && lease->piece.begin < lease->piece.end);
    const ps_sched_book *book = book_of(lease->job);
    const ps_row_range *piece = &lease->piece;
    const ps_booked_task task = {.lease_id = lease->id,
                                 .epoch = piece->epoch,
                                 .rows = {piece->begin, piece->end},
                                 .worker = lease->worker->name,
                                 .sets = lease->kind->sets ? lease->kind->sets(lease)
                                                           : PS_LEDGER_NO_WORDS};
    if (book)
        book->begin(lease->job->sched->out.store_user, lease->job->record->id, &task);
}

uint64_t ps_book_report(const ps_lease *lease, uint64_t position)
{
    ps_core_require_locked(lease->job->sched);
    const ps_sched_book *book = book_of(lease->job);
    return book ? book->report(lease->job->sched->out.store_user, lease->job->record->id, lease->id,
                               position)
                : position;
}

void ps_book_end(const ps_lease *lease, bool done, ps_row_set *left)
{
    ps_core_require_locked(lease->job->sched);
    const ps_sched_book *book = book_of(lease->job);
    uint64_t id = lease->job->record->id;
    bool known = book && book->end(lease->job->sched->out.store_user, id, lease->id, done, left);
    if (!known && !done)
        ps_row_set_add(left, lease->piece.begin, lease->piece.end);
}

bool ps_book_state(const ps_job *job, ps_ledger_state *out)
{
    ps_core_require_locked(job->sched);
    const ps_sched_book *book = book_of(job);
    return book && book->state(job->sched->out.store_user, job->record->id, out);
}

void ps_book_adopt(const ps_job *job, ps_ledger_state *state)
{
    ps_core_require_locked(job->sched);
    const ps_sched_book *book = book_of(job);
    if (book)
        book->adopt(job->sched->out.store_user, job->record->id, state);
    ps_ledger_state_free(state);
}

bool ps_book_segment_take(const ps_job *job, bool pressing, uint64_t *number)
{
    ps_core_require_locked(job->sched);
    const ps_sched_book *book = book_of(job);
    return book && book->segment_take &&
           book->segment_take(job->sched->out.store_user, job->record->id, pressing, number);
}

void ps_book_segment_back(const ps_job *job, uint64_t number)
{
    ps_core_require_locked(job->sched);
    const ps_sched_book *book = book_of(job);
    if (book && book->segment_back)
        book->segment_back(job->sched->out.store_user, job->record->id, number);
}

uint32_t ps_book_segment_lost(const ps_job *job, uint64_t number)
{
    ps_core_require_locked(job->sched);
    const ps_sched_book *book = book_of(job);
    return book && book->segment_lost
               ? book->segment_lost(job->sched->out.store_user, job->record->id, number)
               : 0;
}

ps_status ps_book_segment_done(const ps_job *job, uint64_t number, const char *report)
{
    ps_core_require_unlocked(job->sched);
    const ps_sched_book *book = book_of(job);
    return book && book->segment_done
               ? book->segment_done(job->sched->out.store_user, job->record->id, number, report)
               : PS_OK;
}

bool ps_book_segments_left(const ps_job *job)
{
    ps_core_require_locked(job->sched);
    const ps_sched_book *book = book_of(job);
    return book && book->segments_left &&
           book->segments_left(job->sched->out.store_user, job->record->id);
}
