/* Happy path: a report goes into the bucket of its second; a sum takes the buckets of the last few.
 * Counts are a peer's and may be anything: sums wrap rather than overflow, means stay in range. */
#include "server/sched/meter.h"

#include "common/base/require.h"

#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* The bucket of this second, empty where it held an older one. */
static unsigned bucket_of(ps_meter *meter, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS + 1;
    unsigned at = (unsigned)(second % PS_METER_SECONDS);
    if (meter->buckets[at].second != second) {
        memset(&meter->buckets[at], 0, sizeof meter->buckets[at]);
        meter->buckets[at].second = second;
    }
    if (meter->first_ns == 0)
        meter->first_ns = now_ns ? now_ns : 1;
    return at;
}

void ps_meter_rows(ps_meter *meter, uint64_t now_ns, uint64_t rows)
{
    meter->buckets[bucket_of(meter, now_ns)].rows += rows;
}

void ps_meter_report(ps_meter *meter, uint64_t now_ns, uint64_t rows, const ps_task_report *report)
{
    unsigned at = bucket_of(meter, now_ns);
    meter->buckets[at].rows += rows;
    meter->buckets[at].samples += report->samples;
    meter->buckets[at].loss_sum += report->loss_sum;
    const ps_metric_list *sums = &report->metric_sums;
    for (size_t i = 0; i < sums->count; i++) {
        size_t m = ps_metric_list_place(&meter->metrics, sums->at[i].name);
        if (m < PS_METRICS_MAX)
            meter->buckets[at].metric_sums[m] += sums->at[i].value;
    }
}

double ps_meter_rate(const ps_meter *meter, uint64_t now_ns, unsigned seconds)
{
    PS_REQUIRE(seconds < PS_METER_SECONDS);
    if (meter->first_ns == 0 || now_ns <= meter->first_ns)
        return 0;
    uint64_t now = now_ns / SECOND_NS + 1;
    uint64_t rows = 0;
    for (unsigned i = 0; i < PS_METER_SECONDS; i++)
        if (meter->buckets[i].second != 0 && meter->buckets[i].second + seconds >= now)
            rows += meter->buckets[i].rows;
    /* the current second's part, and the whole ones before it */
    double window = (double)seconds + (double)(now_ns % SECOND_NS) / 1e9;
    double since = (double)(now_ns - meter->first_ns) / 1e9;
    if (since < window)
        window = since < 1 ? 1 : since;
    return (double)rows / window;
}

bool ps_meter_has_settled(const ps_meter *meter, uint64_t now_ns)
{
    return meter->first_ns && now_ns > meter->first_ns && now_ns - meter->first_ns >= SECOND_NS;
}

void ps_meter_means(ps_meter *meter, uint64_t now_ns, unsigned seconds)
{
    PS_REQUIRE(seconds < PS_METER_SECONDS);
    uint64_t now = now_ns / SECOND_NS + 1;
    uint64_t samples = 0;
    double loss_sum = 0, metric_sums[PS_METRICS_MAX] = {0};
    for (unsigned i = 0; i < PS_METER_SECONDS; i++) {
        if (meter->buckets[i].second == 0 || meter->buckets[i].second + seconds < now)
            continue;
        samples += meter->buckets[i].samples;
        loss_sum += meter->buckets[i].loss_sum;
        for (size_t m = 0; m < meter->metrics.count; m++)
            metric_sums[m] += meter->buckets[i].metric_sums[m];
    }
    if (samples == 0)
        return;
    meter->has_loss = true;
    meter->loss = loss_sum / (double)samples;
    for (size_t m = 0; m < meter->metrics.count; m++)
        meter->metrics.at[m].value = metric_sums[m] / (double)samples;
}
