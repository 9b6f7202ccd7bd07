/* SPDX-License-Identifier: Apache-2.0 */
/* PNG by libpng: every colour type, depth and interlace. The longjmp of its errors stays in this
 * file. */
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "image/image_impl.h"

struct reader {
    const uint8_t *data;
    size_t size, pos;
    png_structp png;
    png_infop info;
    char msg[160];
};

static void on_error(png_structp png, png_const_charp msg)
{
    struct reader *r = png_get_error_ptr(png);

    snprintf(r->msg, sizeof r->msg, "%s", msg);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp msg)
{
    (void)png;
    (void)msg;
}

static void read_bytes(png_structp png, png_bytep out, size_t n)
{
    struct reader *r = png_get_io_ptr(png);

    if (n > r->size - r->pos)
        png_error(png, "the file is cut short");
    memcpy(out, r->data + r->pos, n);
    r->pos += n;
}

/* Colour profiles and text are skipped unread: they cannot change a pixel here and cost time. */
static void skip_metadata(png_structp png)
{
    static const png_byte names[] =
        "iCCP\0gAMA\0cHRM\0sRGB\0tEXt\0zTXt\0iTXt\0eXIf\0pHYs\0tIME\0sPLT\0"
        "hIST\0bKGD\0sBIT\0oFFs\0pCAL\0sCAL";

    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
}

static void decode(struct reader *r, uint8_t *pixels, const struct t3d_image_info *info)
{
    size_t stride = (size_t)info->width * 4;
    int passes;

    png_set_read_fn(r->png, r, read_bytes);
    png_set_user_limits(r->png, T3D_IMAGE_MAX_SIDE, T3D_IMAGE_MAX_SIDE);
    skip_metadata(r->png);
    png_read_info(r->png, r->info);
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_add_alpha(r->png, 0xff, PNG_FILLER_AFTER);
    passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_image_width(r->png, r->info) != info->width ||
        png_get_image_height(r->png, r->info) != info->height ||
        png_get_rowbytes(r->png, r->info) != stride)
        png_error(r->png, "the header changed under way");
    for (; passes > 0; passes--)
        for (uint32_t y = 0; y < info->height; y++)
            png_read_row(r->png, pixels + stride * y, NULL);
    png_read_end(r->png, NULL);
}

int t3di_decode_libpng(uint8_t *pixels, const struct t3d_image_info *info, const uint8_t *data,
                       size_t size, struct t3d_err *err)
{
    struct reader r = {.data = data, .size = size};
    int failed;

    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info) {
        png_destroy_read_struct(&r.png, NULL, NULL);
        return t3d_err_nomem(err, "a PNG picture");
    }
    /* Nothing that changes after this point lives in a local variable: r is only read by address.
     */
    failed = setjmp(png_jmpbuf(r.png)) != 0;
    if (!failed)
        decode(&r, pixels, info);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (failed)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "PNG: %s", r.msg);
    return T3D_OK;
}
