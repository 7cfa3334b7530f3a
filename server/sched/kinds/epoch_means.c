/* Bytes: newest u32, and of both sums: samples u64, loss as the bits of a double, u32 and as many
 * bytes of JSON: the measures; little-endian. */
#include "server/sched/kinds/epoch_means.h"

#include "common/base/bits.h"

static ps_epoch_sums *open_epoch(ps_epoch_means *m, uint32_t epoch)
{
    if (epoch > m->newest) {
        if (epoch - m->newest > 1)
            m->sums[(epoch + 1) % 2] = (ps_epoch_sums){0};
        m->sums[epoch % 2] = (ps_epoch_sums){0};
        m->newest = epoch;
    }
    return m->newest - epoch < 2 ? &m->sums[epoch % 2] : NULL;
}

void ps_epoch_means_report(ps_epoch_means *m, uint32_t epoch, const ps_task_report *report)
{
    ps_epoch_sums *sums = open_epoch(m, epoch);
    if (!sums)
        return;
    sums->samples += report->samples;
    sums->loss += report->loss_sum;
    for (size_t i = 0; i < report->metric_sums.count; i++)
        ps_metric_list_add(&sums->metrics, report->metric_sums.at[i].name,
                           report->metric_sums.at[i].value);
}

bool ps_epoch_means_of(const ps_epoch_means *m, uint32_t epoch, double *loss,
                       ps_metric_list *metrics)
{
    const ps_epoch_sums *sums = &m->sums[epoch % 2];
    if (epoch > m->newest || m->newest - epoch > 1 || sums->samples == 0)
        return false;
    *loss = sums->loss / (double)sums->samples;
    *metrics = sums->metrics;
    ps_metric_list_divide(metrics, (double)sums->samples);
    return true;
}

static void put_sums(const ps_epoch_sums *sums, ps_buf *out)
{
    uint8_t bytes[16], length[4];
    ps_buf json = PS_BUF_EMPTY;
    ps_put_u64le(bytes, sums->samples);
    ps_put_u64le(bytes + 8, ps_bits_of_double(sums->loss));
    ps_metric_list_format(&sums->metrics, &json);
    ps_put_u32le(length, (uint32_t)json.len);
    ps_buf_append(out, bytes, sizeof bytes);
    ps_buf_append(out, length, sizeof length);
    ps_buf_append(out, json.data, json.len);
    ps_buf_free(&json);
}

void ps_epoch_means_save(const ps_epoch_means *m, ps_buf *out)
{
    uint8_t newest[4];
    ps_put_u32le(newest, m->newest);
    ps_buf_append(out, newest, sizeof newest);
    put_sums(&m->sums[0], out);
    put_sums(&m->sums[1], out);
}

static ps_status read_sums(ps_epoch_sums *sums, ps_cursor *c)
{
    sums->samples = ps_read_u64le(c);
    sums->loss = ps_read_f64le(c);
    return ps_metric_list_parse(ps_read_bytes(c, ps_read_u32le(c)), &sums->metrics);
}

ps_status ps_epoch_means_load(ps_epoch_means *means, ps_cursor *c)
{
    ps_epoch_means m = {.newest = ps_read_u32le(c)};
    ps_status st = read_sums(&m.sums[0], c);
    if (!st)
        st = read_sums(&m.sums[1], c);
    if (!st && c->failed)
        st = ps_fail(PS_CORRUPT, "progress: the sums of its epochs end early");
    if (!st)
        *means = m;
    return st;
}
