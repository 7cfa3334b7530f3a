#include "common/conf/faults.h"

#include "common/base/buf.h"
#include "common/base/mem.h"

#include <string.h>

void ps_conf_faults_free(ps_conf_faults *faults)
{
    for (size_t i = 0; i < faults->n; i++) {
        ps_free(&faults->at[i].path);
        ps_free(&faults->at[i].text);
    }
    ps_free(&faults->at);
    faults->n = 0;
}

void ps_conf_faults_add(ps_conf_faults *faults, unsigned line, const char *path, const char *text)
{
    for (size_t i = 0; i < faults->n; i++)
        if (strcmp(faults->at[i].path, path) == 0)
            return;
    faults->at = ps_realloc(faults->at, (faults->n + 1) * sizeof *faults->at);
    size_t place = faults->n++;
    while (place > 0 && faults->at[place - 1].line > line) {
        faults->at[place] = faults->at[place - 1];
        place--;
    }
    faults->at[place] =
        (ps_conf_fault){.line = line, .path = ps_strdup(path), .text = ps_strdup(text)};
}

bool ps_conf_faults_have(const ps_conf_faults *faults, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < faults->n; i++) {
        const char *other = faults->at[i].path;
        if (strncmp(other, path, len) == 0 && (!other[len] || strchr(".[", other[len])))
            return true;
    }
    return false;
}

ps_status ps_conf_faults_verdict(const ps_conf_faults *faults)
{
    enum { ROOM = PS_ERROR_MAX - 32 }; /* for "and 12 more" */
    if (faults->n == 0)
        return PS_OK;
    ps_buf all = PS_BUF_EMPTY;
    size_t i = 0;
    for (; i < faults->n && (i == 0 || all.len + strlen(faults->at[i].text) + 1 < ROOM); i++)
        ps_buf_printf(&all, "%s%s", i ? "\n" : "", faults->at[i].text);
    if (i < faults->n)
        ps_buf_printf(&all, "\nand %zu more", faults->n - i);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "%s", ps_buf_cstr(&all));
    ps_buf_free(&all);
    return st;
}
