/* Happy path: a report goes into the bucket of its second; a sum takes the buckets of the last few.
 * Counts are a peer's and may be anything: sums wrap rather than overflow, means stay in range. */
#include "server/sched/meter.h"

#define SECOND_NS UINT64_C(1000000000)

void ps_meter_add(ps_meter *meter, uint64_t now_ns, uint64_t rows, uint64_t samples,
                  double loss_sum, uint64_t correct)
{
    uint64_t second = now_ns / SECOND_NS + 1;
    unsigned at = (unsigned)(second % PS_METER_SECONDS);
    if (meter->buckets[at].second != second) {
        meter->buckets[at].second = second;
        meter->buckets[at].rows = meter->buckets[at].samples = meter->buckets[at].correct = 0;
        meter->buckets[at].loss_sum = 0;
    }
    if (meter->first_ns == 0)
        meter->first_ns = now_ns ? now_ns : 1;
    meter->buckets[at].rows += rows;
    meter->buckets[at].samples += samples;
    meter->buckets[at].loss_sum += loss_sum;
    meter->buckets[at].correct += correct < samples ? correct : samples;
}

double ps_meter_rate(const ps_meter *meter, uint64_t now_ns, unsigned seconds)
{
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

void ps_meter_means(ps_meter *meter, uint64_t now_ns, unsigned seconds)
{
    uint64_t now = now_ns / SECOND_NS + 1;
    uint64_t samples = 0, correct = 0;
    double loss_sum = 0;
    for (unsigned i = 0; i < PS_METER_SECONDS; i++) {
        if (meter->buckets[i].second == 0 || meter->buckets[i].second + seconds < now)
            continue;
        samples += meter->buckets[i].samples;
        correct += meter->buckets[i].correct;
        loss_sum += meter->buckets[i].loss_sum;
    }
    if (samples == 0)
        return;
    meter->loss = loss_sum / (double)samples;
    meter->accuracy = correct < samples ? (double)correct / (double)samples : 1;
}
