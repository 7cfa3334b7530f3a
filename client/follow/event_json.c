#include "client/follow/event_json.h"

#include "client/show/job_view.h"
#include "common/json/json.h"

static ps_json_writer begin(ps_buf *out, const char *what)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "event", what);
    return w;
}

static void end(ps_json_writer *w, ps_buf *out)
{
    ps_json_object_end(w);
    ps_buf_putc(out, '\n');
}

static void put_job(ps_buf *out, const Psd__V1__Job *job)
{
    ps_json_writer w = begin(out, "job");
    ps_json_key(&w, "job");
    ps_job_json(&w, job);
    end(&w, out);
}

static void put_log(ps_buf *out, const Psd__V1__LogEvent *log)
{
    ps_json_writer w = begin(out, "log");
    ps_json_put_int(&w, "time_ms", log->time_ms);
    ps_json_put_int(&w, "level", log->level);
    ps_json_put_string(&w, "source", log->source);
    ps_json_put_string(&w, "text", log->text);
    end(&w, out);
}

static void put_output(ps_buf *out, const Psd__V1__Output *output)
{
    ps_json_writer w = begin(out, "output");
    ps_json_put_uint(&w, "first", output->first);
    ps_json_key(&w, "tokens");
    ps_json_array(&w);
    for (size_t i = 0; i < output->n_tokens; i++)
        ps_json_uint(&w, output->tokens[i]);
    ps_json_array_end(&w);
    end(&w, out);
}

void ps_follow_json(ps_buf *out, const Psd__V1__WatchEvent *event)
{
    if (event->job)
        put_job(out, event->job);
    if (event->log)
        put_log(out, event->log);
    if (event->output)
        put_output(out, event->output);
}
