/* The report is small JSON; the sketch in it is written in hexadecimal digits. */
#include "common/record/loss_segment.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

void ps_loss_segment_free(ps_loss_segment *segment)
{
    ps_free(&segment->parts);
    ps_free(&segment->gradient);
}

double ps_loss_segment_residual(const ps_loss_segment *s, size_t units)
{
    double left = s->loss_end - s->loss_begin;
    for (size_t i = 0; i < units; i++)
        left -= s->parts[i];
    return left;
}

/* ---- sketches ---- */

size_t ps_loss_gradient_bytes(const ps_sketch *shape)
{
    return ps_sketch_units(shape) * PS_SKETCH_SCALE_BYTES + ps_sketch_width(shape);
}

void ps_loss_gradient_write(const ps_sketch *shape, const float *numbers, uint8_t *out)
{
    for (size_t u = 0; u < ps_sketch_units(shape); u++) {
        ps_sketch_part part = ps_sketch_part_of(shape, u);
        ps_sketch_encode(numbers + part.at, part.width, out);
        out += PS_SKETCH_SCALE_BYTES + part.width;
    }
}

void ps_loss_gradient_read(const ps_sketch *shape, const uint8_t *bytes, float *numbers)
{
    for (size_t u = 0; u < ps_sketch_units(shape); u++) {
        ps_sketch_part part = ps_sketch_part_of(shape, u);
        ps_sketch_decode(bytes, part.width, numbers + part.at);
        bytes += PS_SKETCH_SCALE_BYTES + part.width;
    }
}

/* ---- the report ---- */

size_t ps_loss_report_most(size_t units, size_t gradient_bytes)
{
    enum { AROUND = 192, NUMBER = 25 }; /* a double of 17 digits and its comma */
    return AROUND + units * NUMBER + 2 * gradient_bytes;
}

void ps_loss_report_write(const ps_loss_segment *s, size_t units, ps_buf *json)
{
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    ps_json_put_double(&w, "loss_begin", s->loss_begin);
    ps_json_put_double(&w, "loss_end", s->loss_end);
    ps_json_put_uint(&w, "gradients", s->gradients);
    ps_json_put_bool(&w, "met", s->met);
    ps_json_key(&w, "parts");
    ps_json_array(&w);
    for (size_t i = 0; i < units; i++)
        ps_json_double(&w, s->parts[i]);
    ps_json_array_end(&w);
    char *hex = ps_alloc(2 * s->gradient_bytes + 1);
    for (size_t i = 0; i < s->gradient_bytes; i++) {
        hex[2 * i] = digits[s->gradient[i] >> 4];
        hex[2 * i + 1] = digits[s->gradient[i] & 15];
    }
    ps_json_put_string(&w, "gradient", hex);
    ps_free(&hex);
    ps_json_object_end(&w);
}

static ps_status wrong(const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "the report of a probe: %s", what);
}

static int digit_of(uint8_t c)
{
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

static ps_status read_gradient(ps_slice text, size_t bytes, ps_loss_segment *out)
{
    /* a string's quotes are part of its value */
    if (text.len != 2 * bytes + 2 || text.data[0] != '"')
        return wrong("a sketch of another size");
    ps_free(&out->gradient);
    out->gradient = ps_alloc(bytes + 1);
    out->gradient_bytes = bytes;
    for (size_t i = 0; i < bytes; i++) {
        int high = digit_of(text.data[1 + 2 * i]), low = digit_of(text.data[2 + 2 * i]);
        if (high < 0 || low < 0)
            return wrong("a sketch that is none");
        out->gradient[i] = (uint8_t)(high << 4 | low);
    }
    return PS_OK;
}

static ps_status number_of(ps_slice text, double *out)
{
    char copy[40], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return wrong("a number that is none");
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *out = strtod(copy, &end);
    return *end || !isfinite(*out) ? wrong("a number that is none") : PS_OK;
}

static ps_status read_parts(ps_slice array, size_t units, ps_loss_segment *out)
{
    ps_json_reader reader;
    ps_slice element;
    size_t n = 0;
    ps_status st = PS_OK;
    ps_free(&out->parts);
    out->parts = ps_alloc_array(units, sizeof *out->parts);
    ps_json_reader_init(&reader, array);
    ps_json_token begin;
    st = ps_json_expect(&reader, PS_JSON_ARRAY, &begin);
    while (!st && ps_json_element(&reader, &element, &st)) {
        if (n == units)
            st = wrong("too many parts");
        else
            st = number_of(element, &out->parts[n++]);
    }
    ps_json_reader_free(&reader);
    return !st && n != units ? wrong("too few parts") : st;
}

static ps_status read_member(const char *key, ps_slice value, size_t units, size_t bytes,
                             ps_loss_segment *out)
{
    double number = 0;
    if (!strcmp(key, "loss_begin"))
        return number_of(value, &out->loss_begin);
    if (!strcmp(key, "loss_end"))
        return number_of(value, &out->loss_end);
    if (!strcmp(key, "parts"))
        return read_parts(value, units, out);
    if (!strcmp(key, "gradient"))
        return read_gradient(value, bytes, out);
    if (!strcmp(key, "met"))
        out->met = value.len == 4;
    if (!strcmp(key, "gradients")) {
        ps_status st = number_of(value, &number);
        if (st || number < 0 || number > 1e6)
            return wrong("a number that is none");
        out->gradients = (uint32_t)number;
    }
    return PS_OK;
}

ps_status ps_loss_report_read(ps_slice json, size_t units, size_t gradient_bytes,
                              ps_loss_segment *out)
{
    ps_loss_segment s = {0};
    ps_json_reader reader;
    ps_json_token key;
    ps_json_reader_init(&reader, json);
    ps_status st = ps_json_expect(&reader, PS_JSON_OBJECT, &key);
    while (!st && ps_json_member(&reader, &key, &st)) {
        char name[16];
        ps_slice value;
        (void)snprintf(name, sizeof name, "%s", (const char *)key.text.data);
        st = ps_json_value(&reader, &value);
        if (!st)
            st = read_member(name, value, units, gradient_bytes, &s);
    }
    ps_json_reader_free(&reader);
    if (!st && (!s.parts || !s.gradient))
        st = wrong("parts or gradient are missing");
    if (st)
        ps_loss_segment_free(&s);
    else
        *out = s;
    return st;
}
