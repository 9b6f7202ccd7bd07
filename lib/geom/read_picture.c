/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "geom/read_impl.h"
#include "image/image.h"

/* Picture formats that occur in 3D files but are not read: the file is not damaged. */
static int is_other_format(const uint8_t *data, size_t size)
{
    static const struct {
        uint8_t at, n;
        const char *bytes;
    } known[] = {
        {0, 7, "\xabKTX 20"},   {0, 7, "\xabKTX 11"},
        {0, 4, "DDS "},         {0, 4, "GIF8"},
        {0, 2, "BM"},           {0, 4, "II*\0"},
        {0, 4, "MM\0*"},        {0, 4, "8BPS"},
        {0, 10, "#?RADIANCE"},  {0, 4, "v/1\x01"},
        {0, 6, "\0\0\1\0\1\0"}, {4, 8, "ftypavif"},
        {0, 4, "<svg"},         {0, 5, "<?xml"},
        {4, 4, "jP  "},         {0, 12, "\0\0\0\x0cJXL \r\n\x87\n"},
    };

    for (size_t i = 0; i < T3D_COUNT(known); i++)
        if (size >= (size_t)known[i].at + known[i].n &&
            memcmp(data + known[i].at, known[i].bytes, known[i].n) == 0)
            return 1;
    return 0;
}

int t3di_read_picture(struct t3d_picture *p, struct t3d_arena *a, const uint8_t *data, size_t size,
                      unsigned flags, struct t3d_err *err)
{
    struct t3d_image_info info = {0};
    struct t3d_err why = {0};
    int r = t3d_image_probe(&info, data, size, &why);

    *p = (struct t3d_picture){.state = T3D_PICTURE_BAD};
    if (r == T3D_OK && flags & T3D_READ_PIXELS)
        r = t3d_image_decode(&info, &p->pixels, a, data, size, &why);
    if (r == T3D_SKIP) {
        int unsupported = strcmp(why.reason, "image-too-large") == 0 || is_other_format(data, size);

        p->pixels = NULL;
        if (unsupported)
            p->state = T3D_PICTURE_UNSUPPORTED;
        return T3D_OK;
    }
    if (r == T3D_FAIL && a->limit)
        return t3di_no_room(a, err, "the pixels of a picture");
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    p->state = T3D_PICTURE_OK;
    p->width = info.width;
    p->height = info.height;
    p->has_alpha = info.has_alpha != 0;
    return T3D_OK;
}
