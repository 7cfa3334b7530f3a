/* Happy path: a file of the row is an index of what is open. Plain ones are handed on. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/seal/sealed_disk_internal.h"

#include <string.h>

int ps_sealed_open_add(ps_sealed_disk *s, const ps_sealed_open *open)
{
    PS_REQUIRE(ps_mutex_is_held(&s->names));
    size_t i = 0;
    while (i < s->n_open && s->open[i]->is_open)
        i++;
    if (i == s->n_open) {
        s->open = ps_realloc(s->open, (s->n_open + 1) * sizeof *s->open);
        s->open[s->n_open++] = ps_new(ps_sealed_open);
    }
    *s->open[i] = *open;
    s->open[i]->is_open = true;
    return (int)i;
}

/* An entry stays where it is; the list may move while another file is opened. */
static ps_sealed_open *entry(ps_sealed_disk *s, int file)
{
    ps_mutex_lock(&s->names);
    PS_REQUIRE(file >= 0 && (size_t)file < s->n_open && s->open[file]->is_open);
    ps_sealed_open *o = s->open[file];
    ps_mutex_unlock(&s->names);
    return o;
}

static const ps_disk *below(const ps_sealed_disk *s)
{
    return s->conf.disk;
}

static ps_status named(const ps_sealed_open *o, ps_status st)
{
    return st == PS_CORRUPT ? ps_wrap(st, "%s", o->path) : st;
}

static void row_close(void *state, int file)
{
    ps_sealed_disk *s = state;
    ps_sealed_open *o = entry(s, file);
    ps_seal_reader_free(&o->reader);
    ps_seal_writer_free(&o->writer);
    ps_sealed_log_free(&o->log);
    ps_free(&o->path);
    below(s)->close(below(s)->state, o->file);
    ps_mutex_lock(&s->names);
    o->is_open = false;
    ps_mutex_unlock(&s->names);
}

static ps_status row_write(void *state, int file, const void *data, size_t len, size_t *written)
{
    ps_sealed_disk *s = state;
    ps_sealed_open *o = entry(s, file);
    PS_REQUIRE(!o->reader);
    if (o->log) {
        *written = len;
        return ps_sealed_log_write(o->log, data, len);
    }
    if (!o->writer)
        return below(s)->write(below(s)->state, o->file, data, len, written);
    if (ps_seal_writer_is_finished(o->writer))
        return ps_fail(PS_FAILED_PRECONDITION, "%s: it is sealed, and nothing follows", o->path);
    ps_status st = ps_seal_writer_write(o->writer, data, len);
    if (!st)
        *written = len;
    return st;
}

static ps_status row_read(void *state, int file, void *data, size_t len, size_t *got)
{
    ps_sealed_disk *s = state;
    ps_sealed_open *o = entry(s, file);
    PS_REQUIRE(!o->writer);
    if (!o->reader && !o->log)
        return below(s)->read(below(s)->state, o->file, data, len, got);
    ps_status st = o->log ? ps_sealed_log_read(o->log, o->at, data, len, got)
                          : ps_seal_reader_read(o->reader, o->at, data, len, got);
    o->at += st ? 0 : *got;
    return named(o, st);
}

static ps_status row_seek(void *state, int file, uint64_t at)
{
    ps_sealed_disk *s = state;
    ps_sealed_open *o = entry(s, file);
    if (o->writer || (o->log && !ps_sealed_log_is_read(o->log)))
        return ps_fail(PS_FAILED_PRECONDITION, "%s: what is sealed is written in order", o->path);
    if (!o->reader && !o->log)
        return below(s)->seek(below(s)->state, o->file, at);
    o->at = at;
    return PS_OK;
}

static ps_status row_size(void *state, int file, uint64_t *out)
{
    ps_sealed_disk *s = state;
    const ps_sealed_open *o = entry(s, file);
    if (o->writer)
        *out = ps_seal_writer_bytes(o->writer);
    else if (o->log)
        *out = ps_sealed_log_bytes(o->log);
    else if (o->reader)
        *out = ps_seal_reader_bytes(o->reader);
    else
        return below(s)->size(below(s)->state, o->file, out);
    return PS_OK;
}

static ps_status row_fsync(void *state, int file)
{
    ps_sealed_disk *s = state;
    ps_sealed_open *o = entry(s, file);
    ps_status st = PS_OK;
    if (o->writer)
        st = ps_seal_writer_finish(o->writer);
    else if (o->log)
        st = ps_sealed_log_flush(o->log);
    return st ? st : below(s)->fsync(below(s)->state, o->file);
}

static ps_status row_own(void *state, int file, const ps_disk_owner *owner)
{
    ps_sealed_disk *s = state;
    return below(s)->own(below(s)->state, entry(s, file)->file, owner);
}

void ps_sealed_open_row(ps_disk *row)
{
    row->close = row_close;
    row->write = row_write;
    row->read = row_read;
    row->seek = row_seek;
    row->size = row_size;
    row->fsync = row_fsync;
    row->own = row_own;
}
