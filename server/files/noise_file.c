#include "server/files/noise_file.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "server/files/artifact_file.h"

static ps_status fill(void *user, ps_safetensors_sink sink)
{
    const ps_buf *json = user;
    return sink.write(sink.state, json->data, json->len);
}

/* A mean square that came out as 0 or less says that there is no gradient beside the noise. */
static void write_json(const ps_noise_scale *scale, ps_buf *json)
{
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    ps_json_put_uint(&w, "version", 1);
    ps_json_put_uint(&w, "estimates", scale->estimates);
    ps_json_put_double(&w, "trace", scale->trace);
    ps_json_put_double(&w, "gradient_square", scale->square);
    ps_json_key(&w, "noise_scale");
    if (scale->estimates && scale->square > 0)
        ps_json_double(&w, scale->trace / scale->square);
    else
        ps_json_null(&w);
    ps_json_object_end(&w);
    ps_buf_putc(json, '\n');
}

ps_status ps_noise_file_store(const ps_stored_files *files, uint64_t job_id,
                              const ps_noise_scale *scale)
{
    ps_loop_require_off();
    ps_buf json = PS_BUF_EMPTY;
    write_json(scale, &json);
    ps_status st = ps_artifact_file_make(files, job_id, PS_NOISE_FILE, fill, &json);
    ps_buf_free(&json);
    return st;
}
