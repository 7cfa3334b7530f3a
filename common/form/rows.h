/* rows: what the table of forms is made of: ps_form_NAME in a file of this folder, and a word here.
 */
#ifndef PS_FORM_ROWS_H
#define PS_FORM_ROWS_H

#include "common/form/form.h"

#define PS_FORM_ROWS(row)                                                                      \
    row(float32) row(bfloat16) row(float16) row(int8) row(int4) row(int3) row(int2) row(uint8) \
        row(uint4) row(uint3) row(uint2) row(q8_0) row(q4_0) row(q4_1) row(q5_0) row(q5_1)     \
            row(q2_k) row(q3_k) row(q4_k) row(q5_k) row(q6_k) row(iq4_nl) row(mxfp4) row(fp8)

#define PS_FORM_DECLARE(name) extern const ps_form_row ps_form_##name;
PS_FORM_ROWS(PS_FORM_DECLARE)

#endif
