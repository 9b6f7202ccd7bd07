/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/defs.h"
#include "base/hash.h"
#include "metric/page_impl.h"

void t3di_put_text(FILE *f, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        default:
            fputc((unsigned char)*s < ' ' || *s == 127 ? ' ' : *s, f);
        }
}

void t3di_put_id(FILE *f, const char *id)
{
    char part[2] = "";

    for (; *id; id++) {
        part[0] = *id;
        t3di_put_text(f, part);
        if (*id == ':')
            fputs("<wbr>", f);
    }
}

const char *t3di_number(double v, char buf[T3DI_NUMBER])
{
    if (!isfinite(v))
        return "n/a";
    if (v == floor(v) && fabs(v) < 1e6)
        snprintf(buf, T3DI_NUMBER, "%.0f", v);
    else
        snprintf(buf, T3DI_NUMBER, fabs(v) >= 1e5 || fabs(v) < 1e-3 ? "%.2e" : "%.4g", v);
    return buf;
}

void t3di_put_base64(FILE *f, const uint8_t *data, size_t n)
{
    char out[4 * 256 + 1];

    for (size_t i = 0; i < n; i += 3 * 256) {
        t3d_base64(data + i, T3D_MIN((size_t)(3 * 256), n - i), out);
        fputs(out, f);
    }
}

void t3di_put_cell(FILE *f, double v)
{
    char buf[T3DI_NUMBER];

    if (isfinite(v))
        fprintf(f, "<td data-v=\"%.17g\">%s</td>", v, t3di_number(v, buf));
    else
        fputs("<td class=dim data-v=\"\">n/a</td>", f);
}

void t3di_put_table(FILE *f, const char *id)
{
    fputs("<div class=scroll tabindex=0><table class=sorts", f);
    if (id)
        fprintf(f, " id=%s", id);
    fputs("><thead><tr>", f);
}

char t3di_letter(size_t i)
{
    return (char)('A' + i % 26);
}

void t3di_put_key(FILE *f, size_t i)
{
    fprintf(f, "<span class=\"key r%zu\"></span>%c", i % T3DI_COLOURS, t3di_letter(i));
}
