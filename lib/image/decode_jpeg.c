/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG by libjpeg-turbo. The longjmp of its errors stays in this file. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "image/image_impl.h"

/* A progressive file may repeat scans without end, each costing a pass over all coefficients.
 * Encoders write about 10. */
enum { MAX_SCANS = 100 };

struct reader {
    struct jpeg_decompress_struct j;
    struct jpeg_error_mgr error;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char msg[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr j)
{
    struct reader *r = j->client_data;

    j->err->format_message(j, r->msg);
    longjmp(r->jump, 1);
}

/* Missing or damaged data is only a warning to libjpeg, which makes up the pixels; to us it is an
 * error. The texts are those of jerror.h, whose codes the header cannot be included for (it uses
 * strncpy). Stray bytes between segments harm nothing. */
static void on_message(j_common_ptr j, int level)
{
    const struct jpeg_error_mgr *e = j->err;
    const char *text;

    if (level >= 0 || e->msg_code <= 0 || e->msg_code > e->last_jpeg_message)
        return;
    text = e->jpeg_message_table[e->msg_code];
    if (strncmp(text, "Premature end", 13) == 0 ||
        (strncmp(text, "Corrupt JPEG data", 17) == 0 && !strstr(text, "extraneous")))
        on_error(j);
}

static void on_progress(j_common_ptr j)
{
    struct reader *r = j->client_data;

    if (r->j.input_scan_number > MAX_SCANS) {
        snprintf(r->msg, sizeof r->msg, "more than %d scans", MAX_SCANS);
        longjmp(r->jump, 1);
    }
}

/* In place, to RGB with K's black. Adobe stores ink inverted (0 = full ink); files without its
 * marker do not. Rounded product of bytes a * b / 255. */
static void cmyk_to_rgba(uint8_t *row, uint32_t width, int inverted)
{
    uint8_t flip = inverted ? 0 : 0xff;

    for (uint32_t x = 0; x < width; x++, row += 4) {
        unsigned k = row[3] ^ flip;

        for (int c = 0; c < 3; c++)
            row[c] = (uint8_t)(((row[c] ^ flip) * k + 127) / 255);
        row[3] = 255;
    }
}

static void decode(struct reader *r, uint8_t *pixels, const struct t3d_image_info *info,
                   const uint8_t *data, size_t size)
{
    struct jpeg_decompress_struct *j = &r->j;
    size_t stride = (size_t)info->width * 4;
    int cmyk;

    jpeg_mem_src(j, data, size);
    jpeg_read_header(j, TRUE);
    if (j->image_width != info->width || j->image_height != info->height) {
        snprintf(r->msg, sizeof r->msg, "headers disagree about the size");
        longjmp(r->jump, 1);
    }
    cmyk = j->num_components == 4;
    j->out_color_space = cmyk ? JCS_CMYK : JCS_EXT_RGBA;
    jpeg_start_decompress(j);
    while (j->output_scanline < j->output_height) {
        uint8_t *row = pixels + stride * j->output_scanline;

        if (jpeg_read_scanlines(j, &row, 1) == 1 && cmyk)
            cmyk_to_rgba(row, info->width, j->saw_Adobe_marker);
    }
    jpeg_finish_decompress(j);
}

int t3di_decode_jpeg(uint8_t *pixels, const struct t3d_image_info *info, const uint8_t *data,
                     size_t size, struct t3d_err *err)
{
    struct reader r;
    int failed;

    memset(&r, 0, sizeof r);
    r.j.err = jpeg_std_error(&r.error);
    r.error.error_exit = on_error;
    r.error.emit_message = on_message;
    r.progress.progress_monitor = on_progress;
    r.j.client_data = &r;
    failed = setjmp(r.jump) != 0;
    if (!failed) {
        jpeg_create_decompress(&r.j);
        r.j.progress = &r.progress;
        decode(&r, pixels, info, data, size);
    }
    jpeg_destroy_decompress(&r.j);
    if (failed && strncmp(r.msg, "Insufficient memory", 19) == 0)
        return t3d_err_nomem(err, "a JPEG picture");
    if (failed)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "JPEG: %.160s", r.msg);
    return T3D_OK;
}
