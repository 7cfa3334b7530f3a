#include "client/show/signed_view.h"

#include "client/show/human.h"
#include "common/security/certificate.h"

void ps_signed_text(ps_buf *out, const ps_style *style, const char *what, const char *folder,
                    const ps_model_signed *m)
{
    char until[PS_CERTIFICATE_TIME_MAX];
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, what, "%s", folder);
    if (*m->signer) {
        ps_table_field(t, "signer", "%s", m->signer);
        ps_table_field(t, "until", "%s", ps_certificate_time_text(m->not_after, until));
    } else {
        ps_table_field(t, "key", "%s", m->key);
    }
    ps_table_field(t, "files", "%zu, %s%s", m->files, ps_human_bytes((double)m->bytes).text,
                   m->shards ? ", in shards" : "");
    ps_table_field(t, "model", "%s", m->root);
    ps_table_field(t, "provenance", "%s",
                   m->provenance ? "is one of the files; psctl model provenance shows it" : "");
    ps_table_field(t, "for SLSA", "%s",
                   m->slsa ? "a file beside the signature, *" PS_MODEL_SLSA : "");
    ps_table_render(t, style, out);
    ps_table_free(&t);
}

void ps_signed_json(ps_json_writer *w, const char *what, const char *folder,
                    const ps_model_signed *m)
{
    ps_json_object(w);
    ps_json_put_string(w, what, folder);
    ps_json_put_string(w, "signer", *m->signer ? m->signer : NULL);
    ps_json_put_string(w, "key", *m->key ? m->key : NULL);
    if (*m->signer)
        ps_json_put_int(w, "not_after", m->not_after);
    ps_json_put_uint(w, "files", m->files);
    ps_json_put_uint(w, "bytes", m->bytes);
    ps_json_put_string(w, "method", m->shards ? "shards" : "files");
    ps_json_put_string(w, "root", m->root);
    ps_json_put_bool(w, "provenance", m->provenance);
    ps_json_put_bool(w, "slsa", m->slsa);
    ps_json_object_end(w);
}
